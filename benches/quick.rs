//! quick
use audithound::index::build::*; use audithound::event::time::TimeRange;
use audithound::search::evidence::*; use audithound::query::parse::*;
fn cpu()->f64{ let mut u: libc::rusage = unsafe{std::mem::zeroed()}; unsafe{libc::getrusage(libc::RUSAGE_SELF,&mut u);} let t=|t:libc::timeval| t.tv_sec as f64+t.tv_usec as f64/1e6; t(u.ru_utime)+t(u.ru_stime)}
fn rss()->u64{ std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l|l.starts_with("VmHWM")).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap() }
fn main(){
 let a:Vec<String>=std::env::args().collect(); let file=&a[1]; let dir=std::path::PathBuf::from(&a[2]); let threads:usize=a[3].parse().unwrap();
 if threads>0 { let _=std::fs::remove_dir_all(&dir); let c=cpu(); let t=std::time::Instant::now();
 let s=build(&BuildOptions{paths:vec![file.into()],dir:dir.clone(),threads,memory:512<<20,cluster:None,range:TimeRange::ALL},&Quiet).unwrap();
 let w=t.elapsed().as_secs_f64(); let c=cpu()-c; let raw=s.counts.bytes as f64/1e6; let size:u64=std::fs::read_dir(&dir).unwrap().map(|e|e.unwrap().metadata().unwrap().len()).sum();
 println!("{} events {:.0} MB  wall {:.2}s {:.0} MB/s  cpu {:.2}s {:.1} MB/s/cpu  size {:.2}%  peak {} MB stages {:?} dup {}", s.counts.events, raw, w, raw/w, c, raw/c, size as f64/raw/1e4, rss()/1024, s.stages.map(|n|n/1_000_000), s.counts.duplicates);
 }
 let t=std::time::Instant::now(); let e=audithound::search::indexed::open(&dir).unwrap(); println!("open {:?}", t.elapsed());
 for q in ["user:system:anonymous AND code:403","resource:secrets AND verb:list","ip:10.128.1.81","ip:10.0.0.0/8","requestObject.spec.hostPID:true","objectRef.subresource:exec","nsenter","kubelet","code:>=400","requestURI:/limit=\\d+/","*visa*","name:*abc*","ns:openshift-etcd","*"] {
  let ast=parse(q,&ParseOptions::default()).unwrap();
  for r in 0..3 { let t=std::time::Instant::now(); let o=SearchOptions{limit:100,count_all:false,order:SortOrder::Newest,..Default::default()}; let h=e.search(&ast,&o).unwrap(); let d1=t.elapsed(); let t=std::time::Instant::now(); let n=e.count(&ast,TimeRange::ALL).unwrap(); let d2=t.elapsed(); let t=std::time::Instant::now(); let ids:Vec<_>=h.hits.iter().map(|h|h.id).collect(); if r!=1 {let f=e.fetch_many(&ids).unwrap(); let _=f.len();} let d3=t.elapsed(); println!("{r} {q:40} n={n} newest100 {d1:?} count {d2:?} fetch {d3:?}"); }
 }
 let f=audithound::query::resolve::resolve("user").unwrap(); for _ in 0..3 { let t=std::time::Instant::now(); let n=e.top(&audithound::query::ast::QueryAst::All,TimeRange::ALL,std::slice::from_ref(&f),None,1).unwrap().len(); println!("top users {n} {:?}", t.elapsed()); let t=std::time::Instant::now(); let n=e.histogram(&audithound::query::ast::QueryAst::All,TimeRange::ALL,3_600_000_000).unwrap().len(); println!("hist {n} {:?}", t.elapsed()); }
}
