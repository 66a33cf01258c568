public class Boom {
  static class Res implements AutoCloseable { public void close() { throw new IllegalStateException("close failed"); } }
  static void inner() { throw new IllegalArgumentException("bad id 42"); }
  static void middle() throws Exception { try (Res r = new Res()) { inner(); } }
  static void outer() { try { middle(); } catch (Exception e) { throw new RuntimeException("outer failed", e); } }
  static void rec(int n) { if (n == 0) throw new UnsupportedOperationException(); rec(n - 1); }
  public static void main(String[] a) {
    System.err.println("2026-01-03 14:05:12,221 INFO  [main] Boom - starting");
    try { outer(); } catch (RuntimeException e) { System.err.println("2026-01-03 14:05:12,300 ERROR [main] Boom - request failed"); e.printStackTrace(); }
    System.err.println("2026-01-03 14:05:12,301 INFO  [main] Boom - going on");
    try { rec(3); } catch (RuntimeException e) { e.printStackTrace(); }
    System.err.println("2026-01-03 14:05:12,302 INFO  [main] Boom - last");
    Runnable r = () -> { Exception x = new Exception("a"); Exception y = new Exception("b", x); x.initCause(y); x.printStackTrace(); };
    r.run();
    outer();
  }
}
