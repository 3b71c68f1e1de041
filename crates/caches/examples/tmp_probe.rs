#![allow(clippy::all, missing_docs, unused)]
use bytes::Bytes;
use foldhash::fast::RandomState;
use quick_cache::{Equivalent, UnitWeighter, sync::Cache};
use std::hash::*;
use std::hint::black_box;
use std::sync::Arc;
use std::time::*;
use throughline_core::*;
type C<K, V> = Cache<K, V, UnitWeighter, RandomState>;
fn mk<K: Eq + Hash, V: Clone>(n: usize) -> C<K, V> {
    Cache::with(2 * n, 2 * n as u64, UnitWeighter, RandomState::default(), Default::default())
}
#[derive(Clone)]
struct Val64 {
    e: Entry,
    stored: Tick,
    deadline: Tick,
}
#[derive(Clone)]
struct Val56 {
    value: Bytes,
    version: u64,
    stored_fp: u64,
    ttl: u32,
    flags: u32,
}
impl Val56 {
    #[inline]
    fn hit(self, now: u64) -> Option<Hit> {
        let stored = self.stored_fp >> 24;
        let age = now.saturating_sub(stored);
        let ttl = (self.ttl >> 1) as u64 * 2;
        if age >= ttl {
            return None;
        }
        let fp = Fingerprint::from_bits(self.stored_fp as u32);
        let record = if self.ttl & 1 == 0 {
            Some(Record { value: self.value, version: Version(self.version), flags: self.flags })
        } else {
            None
        };
        Some(Hit { entry: Entry { record, fingerprint: fp }, age_ms: age, ttl_left_ms: ttl - age })
    }
}
impl Val64 {
    #[inline]
    fn hit(self, now: Tick) -> Option<Hit> {
        if now >= self.deadline {
            return None;
        }
        Some(Hit {
            age_ms: now.ms_since(self.stored),
            ttl_left_ms: self.deadline.ms_since(now),
            entry: self.e,
        })
    }
}
// A: K48 as now
#[derive(Clone, PartialEq, Eq)]
struct K48 {
    r: ResourceName,
    g: Generation,
    k: Key,
}
#[inline(always)]
fn h<H: Hasher>(r: &str, g: Generation, k: &str, s: &mut H) {
    s.write_u128((g.node as u128) << 64 | g.resource as u128);
    s.write(r.as_bytes());
    s.write(k.as_bytes());
}
impl Hash for K48 {
    #[inline(always)]
    fn hash<H: Hasher>(&self, s: &mut H) {
        h(self.r.as_str(), self.g, self.k.as_str(), s)
    }
}
struct P<'a>(SlotRef<'a>);
impl Hash for P<'_> {
    #[inline(always)]
    fn hash<H: Hasher>(&self, s: &mut H) {
        h(self.0.resource, self.0.generation, self.0.key, s)
    }
}
impl Equivalent<K48> for P<'_> {
    #[inline(always)]
    fn equivalent(&self, k: &K48) -> bool {
        self.0.key == k.k.as_str()
            && self.0.generation == k.g
            && (std::ptr::eq(self.0.resource, k.r.as_str()) || self.0.resource == k.r.as_str())
    }
}
// B: K24 with Arc<Space>
struct Space {
    r: ResourceName,
    g: Generation,
}
#[derive(Clone)]
struct K24 {
    k: Key,
    s: Arc<Space>,
}
impl PartialEq for K24 {
    fn eq(&self, o: &Self) -> bool {
        self.k == o.k && self.s.g == o.s.g && self.s.r == o.s.r
    }
}
impl Eq for K24 {}
impl Hash for K24 {
    #[inline(always)]
    fn hash<H: Hasher>(&self, s: &mut H) {
        h(self.s.r.as_str(), self.s.g, self.k.as_str(), s)
    }
}
impl Equivalent<K24> for P<'_> {
    #[inline(always)]
    fn equivalent(&self, k: &K24) -> bool {
        self.0.key == k.k.as_str()
            && self.0.generation == k.s.g
            && (std::ptr::eq(self.0.resource, k.s.r.as_str()) || self.0.resource == k.s.r.as_str())
    }
}
// D: K24 with digest
#[derive(Clone, PartialEq, Eq)]
struct KD {
    k: Key,
    d: u64,
}
#[inline(always)]
fn hd<H: Hasher>(k: &str, d: u64, s: &mut H) {
    s.write(k.as_bytes());
    s.write_u64(d);
}
impl Hash for KD {
    #[inline(always)]
    fn hash<H: Hasher>(&self, s: &mut H) {
        hd(self.k.as_str(), self.d, s)
    }
}
struct PD<'a> {
    k: &'a str,
    d: u64,
}
impl Hash for PD<'_> {
    #[inline(always)]
    fn hash<H: Hasher>(&self, s: &mut H) {
        hd(self.k, self.d, s)
    }
}
impl Equivalent<KD> for PD<'_> {
    #[inline(always)]
    fn equivalent(&self, k: &KD) -> bool {
        self.d == k.d && self.k == k.k.as_str()
    }
}
#[inline(always)]
fn digest(rs: &RandomState, r: &str, g: Generation) -> u64 {
    let mut s = rs.build_hasher();
    s.write_u128((g.node as u128) << 64 | g.resource as u128);
    s.write(r.as_bytes());
    s.finish()
}
fn mulmix(a: u64, b: u64) -> u64 {
    let m = (a as u128) * (b as u128);
    (m as u64) ^ ((m >> 64) as u64)
}
#[inline(always)]
fn cheap(r: &str, g: Generation) -> u64 {
    let b = r.as_bytes();
    let mut x = 0xcbf29ce484222325u64 ^ (b.len() as u64);
    let mut c = b;
    while let Some((h, t)) = c.split_first_chunk::<8>() {
        x = mulmix(x ^ u64::from_le_bytes(*h), 0x9e3779b97f4a7c15);
        c = t;
    }
    for y in c {
        x = (x << 8 | x >> 56) ^ *y as u64;
    }
    mulmix(x ^ g.resource, 0xbf58476d1ce4e5b9 ^ g.node.rotate_left(17))
}
trait Look: Send + Sync {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup;
}
struct A(C<K48, Val64>, Arc<dyn Clock>);
impl Look for A {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        match self.0.get(&P(s)).and_then(|v| v.hit(self.1.now())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct A56(C<K48, Val56>, Arc<dyn Clock>);
impl Look for A56 {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        match self.0.get(&P(s)).and_then(|v| v.hit(self.1.now().as_ms())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct B(C<K24, Val64>, Arc<dyn Clock>);
impl Look for B {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        match self.0.get(&P(s)).and_then(|v| v.hit(self.1.now())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct B56(C<K24, Val56>, Arc<dyn Clock>);
impl Look for B56 {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        match self.0.get(&P(s)).and_then(|v| v.hit(self.1.now().as_ms())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct D56(C<KD, Val56>, Arc<dyn Clock>, RandomState);
impl Look for D56 {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        let d = digest(&self.2, s.resource, s.generation);
        match self.0.get(&PD { k: s.key, d }).and_then(|v| v.hit(self.1.now().as_ms())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct E56(C<KD, Val56>, Arc<dyn Clock>);
impl Look for E56 {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        let d = cheap(s.resource, s.generation);
        match self.0.get(&PD { k: s.key, d }).and_then(|v| v.hit(self.1.now().as_ms())) {
            Some(h) => LocalLookup::Hit(h),
            None => LocalLookup::Absent,
        }
    }
}
struct Id(C<Key, Bytes>);
impl Look for Id {
    fn look(&self, s: SlotRef<'_>) -> LocalLookup {
        struct S<'a>(&'a str);
        impl Hash for S<'_> {
            fn hash<H: Hasher>(&self, h: &mut H) {
                self.0.hash(h)
            }
        }
        impl Equivalent<Key> for S<'_> {
            fn equivalent(&self, k: &Key) -> bool {
                self.0 == k.as_str()
            }
        }
        match self.0.get(&S(s.key)) {
            Some(b) => LocalLookup::Hit(Hit {
                entry: Entry {
                    record: Some(Record { value: b, version: Version(1), flags: 0 }),
                    fingerprint: Fingerprint::default(),
                },
                age_ms: 0,
                ttl_left_ms: 1,
            }),
            None => LocalLookup::Absent,
        }
    }
}
#[derive(Debug)]
struct Still;
impl Clock for Still {
    fn now(&self) -> Tick {
        Tick::from_ms(5)
    }
}
fn main() {
    let n: usize = std::env::args().nth(1).map_or(10_000, |a| a.parse().unwrap());
    let r = ResourceName::new("item").unwrap();
    let g = Generation { node: 0, resource: 123456 };
    let keys: Vec<Key> = (0..n).map(|i| Key::parse(&i.to_string()).unwrap()).collect();
    let clock: Arc<dyn Clock> = Arc::new(Still);
    let sp = Arc::new(Space { r: r.clone(), g });
    let rs = RandomState::default();
    let peer: C<Key, Bytes> = mk(n);
    let (a, a56, b, b56, d56, e56, id) = (
        A(mk(n), clock.clone()),
        A56(mk(n), clock.clone()),
        B(mk(n), clock.clone()),
        B56(mk(n), clock.clone()),
        D56(mk(n), clock.clone(), rs.clone()),
        E56(mk(n), clock.clone()),
        Id(mk(n)),
    );
    for k in &keys {
        let v = Bytes::from(vec![1u8; 100]);
        peer.insert(k.clone(), v.clone());
        let v64 = Val64 {
            e: Entry {
                record: Some(Record { value: v.clone(), version: Version(1), flags: 0 }),
                fingerprint: Fingerprint::default(),
            },
            stored: Tick::from_ms(0),
            deadline: Tick::from_ms(99999),
        };
        let v56 = Val56 { value: v.clone(), version: 1, stored_fp: 0, ttl: 300000, flags: 0 };
        let k48 = K48 { r: r.clone(), g, k: k.clone() };
        let k24 = K24 { k: k.clone(), s: sp.clone() };
        a.0.insert(k48.clone(), v64.clone());
        a56.0.insert(k48, v56.clone());
        b.0.insert(k24.clone(), v64);
        b56.0.insert(k24, v56.clone());
        d56.0.insert(KD { k: k.clone(), d: digest(&rs, r.as_str(), g) }, v56.clone());
        e56.0.insert(KD { k: k.clone(), d: cheap(r.as_str(), g) }, v56);
        id.0.insert(k.clone(), v);
    }
    let rng = Rng::from_seed(1);
    let order: Vec<&Key> = (0..200_000).map(|_| &keys[rng.below(n as u64) as usize]).collect();
    let looks: [(&str, &dyn Look); 7] = [
        ("K48 V64", &a),
        ("K48 V56", &a56),
        ("K24 V64", &b),
        ("K24 V56", &b56),
        ("digest V56", &d56),
        ("cheap V56", &e56),
        ("peer behind dyn, as Hit", &id),
    ];
    let mut ratios = vec![vec![]; 7];
    let mut best = vec![f64::MAX; 8];
    for _ in 0..40 {
        for (i, (_, l)) in looks.iter().enumerate() {
            let t = Instant::now();
            for k in &order {
                assert!(matches!(
                    black_box(l.look(SlotRef {
                        resource: r.as_str(),
                        generation: g,
                        key: black_box(k).as_str()
                    })),
                    LocalLookup::Hit(_)
                ));
            }
            let o = t.elapsed().as_nanos() as f64 / order.len() as f64;
            let t = Instant::now();
            for k in &order {
                assert!(black_box(peer.get(*black_box(k))).is_some());
            }
            let p = t.elapsed().as_nanos() as f64 / order.len() as f64;
            ratios[i].push(o / p);
            best[i] = best[i].min(o);
            best[7] = best[7].min(p);
        }
    }
    for (i, (name, _)) in looks.iter().enumerate() {
        ratios[i].sort_by(f64::total_cmp);
        println!(
            "{name}: best {:.1} ns, ratio median {:.2} min {:.2}; of bests {:.2}",
            best[i],
            ratios[i][20],
            ratios[i][0],
            best[i] / best[7]
        );
    }
    println!("peer best {:.1}", best[7]);
}
