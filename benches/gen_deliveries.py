#!/usr/bin/env python3
# Load generator of the benches, part 1: makes the deliveries. benches/run starts it.
"""Makes N distinct, correctly signed webhook deliveries out of real payload files, as raw HTTP/1.1 requests, for wrk
(replay.lua), for open_loop.py, and for no-loss checks.

  gen_deliveries.py --n 20000 --secret my-secret --out out/d [--provider github|gitlab|mix] [--host 127.0.0.1:8080]
     [--path-github /hooks/bench] [--path-gitlab /webhooks/gitlab] [--events push,pull_request] [--max-bytes 16000]
     [--bad-sig 0.02] [--dup 0.01] [--installation-id 100] [--signing-token whsec_...] [--fixtures DIR] [--seed 1]

Writes OUT.blob (requests back to back), OUT.idx (one 'offset length' a line, for Lua), OUT.jsonl (id, event, kind, sha256).
kind: good | bad (signature over another body; expect 401/403) | dup (a repeat of an earlier delivery id and body).
Bodies are made distinct by one extra top-level member "x_bench" (real receivers must ignore unknown members), so each
signature differs. Signed text is the exact bytes sent. GitLab deliveries carry X-Gitlab-Token and, with --signing-token,
webhook-id/-timestamp/-signature (Standard Webhooks; the timestamp is now, so replay within the receiver's tolerance)."""
import argparse, base64, hashlib, hmac, json, os, random, time, uuid
a=argparse.ArgumentParser(); A=a.add_argument
A('--n',type=int,default=20000); A('--secret',required=True); A('--out',required=True); A('--provider',default='github',choices=['github','gitlab','mix'])
A('--host',default='127.0.0.1:8080'); A('--path-github',default='/hooks/bench'); A('--path-gitlab',default='/webhooks/gitlab')
A('--events'); A('--max-bytes',type=int,default=16000); A('--bad-sig',type=float,default=0); A('--dup',type=float,default=0)
A('--installation-id',type=int); A('--signing-token'); A('--fixtures',default=os.path.join(os.path.dirname(os.path.abspath(__file__)),'..','tests','fixture')); A('--seed',type=int,default=1)
o=a.parse_args(); R=random.Random(o.seed); want=set(o.events.split(',')) if o.events else None
pool=[]
def load(host, mapf, sub):
    d=os.path.join(o.fixtures,sub)
    for n,ev in json.load(open(os.path.join(d,mapf))).items():
        if want and ev not in want: continue
        p=os.path.join(d,n)
        if os.path.getsize(p)<=o.max_bytes*1.6: pool.append((host,ev,json.load(open(p))))
if o.provider in('github','mix'): load('github','_events.map','github')
if o.provider in('gitlab','mix'): load('gitlab','_headers.map','gitlab')
assert pool, 'no payload matches'
key=base64.b64decode(o.signing_token.split('_',1)[1]) if o.signing_token else None
def ruuid(): return str(uuid.UUID(int=R.getrandbits(128),version=4))
def make(i):
    host,ev,obj=R.choice(pool); obj=dict(obj)
    if host=='github' and o.installation_id: obj['installation']={**(obj.get('installation') or {}),'id':o.installation_id}
    obj['x_bench']=f'{o.seed}-{i}'; body=json.dumps(obj,separators=(',',':')).encode()
    if len(body)>o.max_bytes: return make(i)
    kind='bad' if R.random()<o.bad_sig else 'good'; signed=body+b' ' if kind=='bad' else body; did=ruuid()
    if host=='github':
        h=[('User-Agent','GitHub-Hookshot/0a1b2c3'),('Accept','*/*'),('X-GitHub-Delivery',did),('X-GitHub-Event',ev),('X-GitHub-Hook-ID','292430182'),
           ('X-GitHub-Hook-Installation-Target-ID','79929171'),('X-GitHub-Hook-Installation-Target-Type','integration'),
           ('X-Hub-Signature','sha1='+hmac.new(o.secret.encode(),signed,hashlib.sha1).hexdigest()),
           ('X-Hub-Signature-256','sha256='+hmac.new(o.secret.encode(),signed,hashlib.sha256).hexdigest())]; path=o.path_github
    else:
        h=[('User-Agent','GitLab/18.5.0'),('Accept','*/*'),('X-Gitlab-Event',ev),('X-Gitlab-Event-UUID',did),('X-Gitlab-Webhook-UUID',ruuid()),
           ('X-Gitlab-Instance','https://gitlab.example.com'),('Idempotency-Key',did),('X-Gitlab-Token',o.secret+('x' if kind=='bad' else ''))]; path=o.path_gitlab
        if key:
            t=str(int(time.time())); s=base64.b64encode(hmac.new(key,f'{did}.{t}.'.encode()+signed,hashlib.sha256).digest()).decode()
            h+=[('webhook-id',did),('webhook-timestamp',t),('webhook-signature','v1,'+s)]
    h=[('Host',o.host),('Content-Type','application/json'),('Content-Length',str(len(body)))]+h
    return (f'POST {path} HTTP/1.1\r\n'+''.join(f'{k}: {v}\r\n' for k,v in h)+'\r\n').encode()+body, dict(id=did,provider=host,event=ev,kind=kind,bytes=len(body),sha256=hashlib.sha256(body).hexdigest())
off=0; goods=[]; cnt={}
with open(o.out+'.blob','wb') as fb, open(o.out+'.idx','w') as fi, open(o.out+'.jsonl','w') as fj:
    for i in range(o.n):
        if goods and R.random()<o.dup: raw,m=R.choice(goods); m=dict(m,kind='dup')
        else:
            raw,m=make(i)
            if m['kind']=='good' and len(goods)<2000: goods.append((raw,m))
        fb.write(raw); fi.write(f'{off} {len(raw)}\n'); off+=len(raw); fj.write(json.dumps(m)+'\n'); cnt[m['kind']]=cnt.get(m['kind'],0)+1
print(f'{o.n} deliveries, {off} bytes (mean {off//o.n}), {len(pool)} payload files, kinds {cnt}')
