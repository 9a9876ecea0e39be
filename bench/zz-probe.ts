import { fork } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { Client } from "pg";
import { startBenchShop } from "/work/main/bench/orders/shop.ts";
const N = Number(process.argv[2] ?? 64), secs = Number(process.argv[3] ?? 15);
const shop = await startBenchShop(14080);
const tokens = await shop.tokens(64), productIds = await shop.productIds();
const dir = readdirSync("/tmp").filter(d=>d.startsWith("souk-bench-")).map(d=>"/tmp/"+d).sort().at(-1)!;
const pw = readFileSync(`${dir}/postgres.password`,"utf8").trim();
const c = new Client({host:"127.0.0.1",port:shop.running.ports.postgres,user:"postgres",password:pw,database:"postgres"}); await c.connect();
const snap = async()=> new Map((await c.query("select datname, xact_commit::int c, xact_rollback::int r, tup_inserted::int i, tup_updated::int u, blks_hit::int b from pg_stat_database where datname is not null")).rows.map(r=>[r.datname,r]));
const wal = async()=> (await c.query("select wal_records::int r, wal_bytes::float b, wal_fpi::int f from pg_stat_wal")).rows[0];
const io = async()=> (await c.query("select sum(fsyncs)::int f from pg_stat_io where object='wal'")).rows[0];
const child = fork("/work/main/bench/orders/buyers.ts");
let s0:any, w0:any, f0:any, cpu0:any, run:any;
const done = new Promise<void>(r=>child.on("message", async (m:any)=>{ if("begins" in m){ await c.query("create extension if not exists pg_stat_statements"); await c.query("select pg_stat_statements_reset()"); s0=await snap(); w0=await wal(); f0=await io(); cpu0=shop.cpuMs(); } else { run=m.run; const s1=await snap(), w1=await wal(), f1=await io(), cpu1=shop.cpuMs(); const n=run.durationsMs.length; console.log("orders",n,(n/run.seconds).toFixed(0)+"/s", run.failures);
 for(const [k,v] of s1){const o=s0.get(k); if(!o) continue; console.log(k, Object.fromEntries(Object.keys(v).filter(x=>x!=="datname").map(x=>[x,((v[x]-o[x])/n).toFixed(2)])));}
 for (const q of (await c.query("select d.datname, calls::float/"+n+" as c, (total_exec_time+total_plan_time)::float/"+n+" as ms, plans::float/"+n+" p, total_plan_time::float/"+n+" pms, left(regexp_replace(query, '\\s+', ' ', 'g'), 90) q from pg_stat_statements s join pg_database d on d.oid=s.dbid order by 3 desc limit 45")).rows) console.log(q.datname.padEnd(9), q.c.toFixed(2), q.ms.toFixed(3)+"ms", "plans", q.p.toFixed(2), q.pms.toFixed(3), q.q); console.log("wal/order", ((w1.r-w0.r)/n).toFixed(1), ((w1.b-w0.b)/n).toFixed(0)+"B","fpi",((w1.f-w0.f)/n).toFixed(2),"fsyncs/order",((f1.f-f0.f)/n).toFixed(2));
 for(const [k,v] of cpu1) console.log(k.padEnd(16), ((v-cpu0.get(k))/n).toFixed(2)); r(); } }));
child.send({gatewayUrl:shop.running.gatewayUrl,tokens,productIds,buyers:N,warmUpMs:Number(process.env.WARM??15)*1000,runMs:secs*1000,runs:1});
await done; await new Promise(r=>child.once("exit",r)); await c.end();
if (process.argv[4]) { console.log("holding"); await new Promise(r=>setTimeout(r, 1000*Number(process.argv[4]))); }
await shop.stop();
