#!/usr/bin/env python3
# Load generator of the benches, part 3: a fixed rate. benches/run starts it.
"""Open-loop replay: sends OUT.blob at a fixed rate, each delivery once, and measures every answer from the moment the
delivery was DUE (so a stalled server shows in p99, which closed-loop wrk hides). Records what was acknowledged.
  open_loop.py OUT HOST:PORT --rate 500 --seconds 20 [--conns 64] [--ack acked.txt] [--timeout 10]
Exit 0 always; prints one RESULT line of JSON. acked.txt: 'delivery-id status' a line, appended as answers come, for
'every 2xx-acknowledged delivery is in the database after kill -9' checks."""
import argparse, asyncio, json, time
a=argparse.ArgumentParser(); a.add_argument('out'); a.add_argument('target'); a.add_argument('--rate',type=float,default=500); a.add_argument('--seconds',type=float,default=20)
a.add_argument('--conns',type=int,default=64); a.add_argument('--ack'); a.add_argument('--timeout',type=float,default=10); o=a.parse_args()
host,port=o.target.rsplit(':',1); idx=[tuple(map(int,l.split())) for l in open(o.out+'.idx')]; meta=[json.loads(l) for l in open(o.out+'.jsonl')]
blob=open(o.out+'.blob','rb'); total=min(len(idx),int(o.rate*o.seconds)); reqs=[]
for p,n in idx[:total]: blob.seek(p); reqs.append(blob.read(n))
lat=[]; st={}; err={}; ack=open(o.ack,'a',buffering=1) if o.ack else None; late=0
async def one(c,i,due):
    try:
        if c[0] is None: c[0]=await asyncio.wait_for(asyncio.open_connection(host,int(port)),o.timeout)
        r,w=c[0]; w.write(reqs[i]); 
        async def rd():
            h=await r.readuntil(b'\r\n\r\n'); s=int(h[9:12]); hl=h.lower(); k=hl.find(b'content-length:')
            if k>=0: await r.readexactly(int(hl[k+15:hl.find(b'\r\n',k)]))
            elif b'transfer-encoding: chunked' in hl:
                while True:
                    n=int((await r.readline()).split(b';')[0],16); await r.readexactly(n+2)
                    if n==0: break
            return s, b'connection: close' in hl
        s,close=await asyncio.wait_for(rd(),o.timeout); lat.append(time.perf_counter()-due); st[s]=st.get(s,0)+1
        if ack: ack.write(f"{meta[i]['id']} {s}\n")
        if close: w.close(); c[0]=None
    except Exception as e:
        n=type(e).__name__; err[n]=err.get(n,0)+1
        if c[0]: c[0][1].close()
        c[0]=None
async def main():
    q=asyncio.Queue(); 
    async def worker():
        c=[None]
        while True:
            x=await q.get()
            if x is None: return
            await one(c,*x)
    ws=[asyncio.create_task(worker()) for _ in range(o.conns)]; t0=time.perf_counter()
    for i in range(total):
        due=t0+i/o.rate; d=due-time.perf_counter()
        if d>0: await asyncio.sleep(d)
        q.put_nowait((i,due))
    for _ in ws: q.put_nowait(None)
    await asyncio.gather(*ws); return time.perf_counter()-t0
el=asyncio.run(main()); lat.sort(); P=lambda p: round(lat[min(len(lat)-1,int(len(lat)*p))]*1e3,2) if lat else None
print('RESULT',json.dumps(dict(offered=total,rate=o.rate,seconds=round(el,2),answered=len(lat),p50_ms=P(.5),p90_ms=P(.9),p99_ms=P(.99),p999_ms=P(.999),max_ms=P(1),status=st,errors=err)))
