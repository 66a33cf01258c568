package main
import ("errors";"fmt";"log";"net/http";"net/http/httptest";"os";"runtime/debug";"sync";"time")
type T struct{ p *int }
func (t *T) Deref(a, b int) int { return *t.p + a + b }
func Gen[K any](f func(K), k K) { f(k) }
func main() {
  log.SetFlags(log.LstdFlags)
  log.Print("starting")
  switch os.Args[1] {
  case "nil": var t T; Gen(func(i int) { t.Deref(i, 2) }, 1)
  case "repanic": defer func() { r := recover(); panic(fmt.Sprintf("again: %v", r)) }(); panic(errors.New("first\nsecond line"))
  case "deadlock": var wg sync.WaitGroup; wg.Add(1); go func() { var m sync.Mutex; m.Lock(); m.Lock() }(); wg.Wait()
  case "http":
    s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic("handler") }))
    http.Get(s.URL); log.Print("going on"); s.Close()
  case "stack": log.Printf("caught: %s", debug.Stack()); log.Print("after")
  case "all": for i := 0; i < 2; i++ { go func() { time.Sleep(time.Hour) }() }; time.Sleep(10*time.Millisecond); debug.SetTraceback("all"); panic(fmt.Errorf("wrapped: %w", os.ErrNotExist))
  }
  log.Print("end")
}
