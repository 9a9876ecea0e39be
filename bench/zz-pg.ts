import { mkdtempSync, rmSync } from "node:fs";
import { Client } from "pg";
import { startPostgres } from "../tools/stores/postgres.ts";
const dir = mkdtempSync("/tmp/pgx-");
const s = await startPostgres({ dataDir: dir + "/pg", logPath: dir + "/log", port: 0, log: () => {} });
const c = new Client({ connectionString: s.url }); await c.connect();
await c.query(`create schema kit; create table kit.clock (only_row boolean primary key default true, offset_ms bigint not null default 0); insert into kit.clock default values;
create function souk_now() returns timestamptz language sql stable parallel safe as $$ select now() + offset_ms * interval '1 millisecond' from kit.clock $$;
create function now_atomic() returns timestamptz language sql stable parallel safe return (select now() + offset_ms * interval '1 millisecond' from kit.clock);
create function now_pl() returns timestamptz language plpgsql stable parallel safe as $$ begin return (select now() + offset_ms * interval '1 millisecond' from kit.clock); end $$;
create function now_inline() returns timestamptz language sql stable parallel safe as $$ select now() + coalesce(current_setting('souk.offset', true), '0')::interval $$;
create function now_seq() returns timestamptz language sql stable as $$ select now() + (select last_value from kit.clock_seq) * interval '1ms' $$;`.replace(/create function now_seq[^;]*;/,""));
import { readFileSync } from "node:fs";
const pid = (await c.query("select pg_backend_pid() p")).rows[0].p;
const ticks = () => { const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" "); return (Number(f[11]) + Number(f[12])) * 10; };
for (const e of ["1", "now()", "souk_now()", "now_atomic()", "now_pl()", "now_inline()", "(select now() + offset_ms * interval '1 millisecond' from kit.clock)"]) {
  const n = 10000; for (let i = 0; i < 500; i++) await c.query({ name: e.slice(0,40), text: `select ${e} as x` });
  const t0 = ticks(), w0 = performance.now(); for (let i = 0; i < n; i++) await c.query({ name: e.slice(0,40), text: `select ${e} as x` });
  console.log(e.padEnd(30), "backend us", ((ticks() - t0) / n * 1000).toFixed(0), "wall us", ((performance.now() - w0) / n * 1000).toFixed(0));
}
await c.end(); await s.stop(); rmSync(dir, { recursive: true });
