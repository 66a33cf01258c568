console.error("2026-01-03T14:05:12.221Z info starting");
function load() { throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 }); }
async function main() { try { load(); } catch (e) { throw new Error("cannot start", { cause: e }); } }
if (process.argv[2] === "caught") {
  main().catch((e) => { console.error(e); console.error("2026-01-03T14:05:12.300Z info going on"); console.error(new AggregateError([new Error("one"), new TypeError("two")], "several")); console.error("2026-01-03T14:05:12.301Z info last"); });
} else if (process.argv[2] === "async") { (async () => { await null; await main(); })();
} else if (process.argv[2] === "stack") { main().catch((e) => { console.error("2026-01-03T14:05:12.300Z error " + e.stack); console.error("2026-01-03T14:05:12.300Z info going on"); });
} else load();
