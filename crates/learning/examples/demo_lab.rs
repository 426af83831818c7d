//! The demo's federated training without pipelines, queue and storage: the quick way to see what a change of
//! the protocol or of the training does over many seeds.
//!
//! `cargo run --example demo_lab -p tale-learning -- --seeds 1-10`

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use rand::Rng;
use rand_distr::{Distribution, Gamma};
use tale_learning::*;
use tale_storage::{ImageBatch, ImageShape};
use tale_primitives::{Digest, GeneratorId, Seed};
use tale_validation::*;

const PARTICIPANTS: usize = 12;
const ROWS_PER_VALIDATOR: usize = 500;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Mode { Validated, HonestAlone, NoValidation, HonestValidated }

#[derive(Clone, Debug)]
struct Options { rounds: u32, alpha: f64, train: TrainSettings, gates: GateRules, rules: DecisionRules, family: ModelFamily, verbose: bool }

struct Data { train: ImageBatch, heldout: ImageBatch, test: ImageBatch }

fn gunzip(name: &str) -> Vec<u8> {
    let out = std::process::Command::new("zcat").arg(format!("/usr/share/datasets/fashion-mnist/{name}")).output().unwrap();
    out.stdout
}

fn rows(batch: &ImageBatch, chosen: &[usize]) -> ImageBatch {
    let length = (batch.shape.height * batch.shape.width * batch.shape.channels) as usize;
    ImageBatch {
        shape: batch.shape, classes: batch.classes,
        pixels: chosen.iter().flat_map(|&r| batch.pixels[r * length..(r + 1) * length].iter().copied()).collect(),
        labels: chosen.iter().map(|&r| batch.labels[r]).collect(),
    }
}

fn shuffled(seed: Seed, n: usize) -> Vec<usize> {
    let mut rng = seed.rng();
    let mut v: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() { v.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize); }
    v
}

fn load() -> Data {
    let pixels = gunzip("train-images-idx3-ubyte.gz")[16..].to_vec();
    let labels: Vec<u32> = gunzip("train-labels-idx1-ubyte.gz")[8..].iter().map(|&b| b.into()).collect();
    let all = ImageBatch { shape: ImageShape { height: 28, width: 28, channels: 1 }, classes: 10, pixels, labels };
    let order = shuffled(Seed::new(0).child("subset"), all.labels.len());
    let mut by_class: Vec<Vec<usize>> = vec![vec![]; 10];
    for r in order { let c = all.labels[r] as usize; if by_class[c].len() < 1000 { by_class[c].push(r); } }
    let take = |from: usize, to: usize| { let v: Vec<usize> = by_class.iter().flat_map(|c| c[from..to].iter().copied()).collect(); rows(&all, &v) };
    Data { train: take(0, 700), heldout: take(700, 850), test: take(850, 1000) }
}

fn partition(data: &ImageBatch, alpha: f64, seed: Seed) -> Vec<Vec<usize>> {
    let mut rng = seed.child("partition").rng();
    let mut shards = vec![vec![]; PARTICIPANTS];
    for class in 0..data.classes {
        let mut of: Vec<usize> = (0..data.labels.len()).filter(|&r| data.labels[r] == class).collect();
        for i in (1..of.len()).rev() { of.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize); }
        let gamma = Gamma::new(alpha, 1.0).unwrap();
        let draws: Vec<f64> = (0..PARTICIPANTS).map(|_| gamma.sample(&mut rng)).collect();
        let total: f64 = draws.iter().sum();
        let mut start = 0; let mut sum = 0.0;
        for (p, d) in draws.iter().enumerate() {
            sum += d;
            let end = if p + 1 == PARTICIPANTS { of.len() } else { ((sum / total) * of.len() as f64).round() as usize };
            shards[p].extend_from_slice(&of[start..end.max(start)]); start = end.max(start);
        }
    }
    for s in &mut shards { s.sort(); }
    shards
}

fn losses(spec: &ModelSpec, p: &Parameters, b: &ImageBatch) -> (Vec<Fixed>, f64) {
    let l = row_losses(spec, p, b, ComputeDevice::Flex).unwrap();
    let acc = l.iter().filter(|r| r.correct).count() as f64 / l.len() as f64;
    (l.iter().map(|r| Fixed::round(r.loss_nats.into())).collect(), acc)
}

#[derive(Default, Debug, Clone)]
struct Result_ { accuracy: f64, attackers_rejected: [u32; 2], honest_rejected: u32, honest: u32, seconds: f64, train_s: f64, loss: f64 }

fn run(data: &Data, options: &Options, seed_number: u64, mode: Mode) -> Result_ {
    let started = Instant::now();
    let seed = Seed::new(seed_number);
    let spec = ModelSpec { family: options.family, shape: data.train.shape, classes: data.train.classes };
    let shards = partition(&data.train, options.alpha, seed);
    let ids: Vec<GeneratorId> = (0..PARTICIPANTS).map(|i| GeneratorId::derive("lab", &format!("p{i:02}"))).collect();
    // the attackers: two of the six with the most rows, by seed
    let mut by_size: Vec<usize> = (0..PARTICIPANTS).collect();
    by_size.sort_by_key(|&p| std::cmp::Reverse(shards[p].len()));
    let picks = shuffled(seed.child("attackers"), 6);
    let (poisoner, rider) = (by_size[picks[0]], by_size[picks[1]]);
    let victim = by_size[picks[2]];
    let attacked = matches!(mode, Mode::Validated | Mode::NoValidation);
    let mut base = Parameters::initial(&spec, seed.child("model")).unwrap();
    let mut memory = Memory::default();
    let mut result = Result_::default();
    let panel: Vec<Panelist> = (0..3).map(|v| Panelist { validator: GeneratorId::derive("lab", &format!("v{v}")), credibility_ppm: 1_000_000 - 100_000 * v }).collect();
    for round in 1..=options.rounds {
        let base_digest = Digest::of(round.to_string());
        let round_seed = seed.child("round").child(&round.to_string());
        let t = Instant::now();
        let active: Vec<usize> = (0..PARTICIPANTS).filter(|p| !shards[*p].is_empty() && (mode != Mode::HonestAlone || (*p != poisoner && *p != rider))).collect();
        let honest: BTreeMap<usize, Parameters> = active.iter().map(|&p| (p, train(&spec, &base, &rows(&data.train, &shards[p]), &options.train, round_seed.child(&p.to_string()), ComputeDevice::Flex, &|_| true).unwrap().update)).collect();
        result.train_s += t.elapsed().as_secs_f64();
        let updates: BTreeMap<usize, Parameters> = active.iter().map(|&p| (p, match p {
            _ if !attacked => honest[&p].clone(),
            p if p == poisoner => attack::poison(&honest[&p]),
            p if p == rider => attack::free_ride(&honest[&victim], round_seed),
            _ => honest[&p].clone(),
        })).collect();
        let mut accepted: BTreeSet<usize> = active.iter().copied().collect();
        if matches!(mode, Mode::Validated | Mode::HonestValidated) {
            let candidates: Vec<Candidate> = active.iter().map(|&p| Candidate { generator: ids[p], commitment: (attacked && p == rider).into(), base: base_digest, content: UpdateContent::Finite { norm: updates[&p].norm() } }).collect();
            let gates = gate(&options.gates, base_digest, &candidates, |i, j| updates[&active[i]].cosine(&updates[&active[j]]));
            let scored: Vec<usize> = active.iter().zip(&gates).filter(|(_, g)| g.is_none()).map(|(p, _)| *p).collect();
            let list: Vec<(&Parameters, u64)> = scored.iter().map(|p| (&updates[p], shards[*p].len() as u64)).collect();
            let aggregate = RoundAggregate::new(&base, &list, &AggregationSettings::default());
            let weights = aggregate.effective_weights();
            let order = shuffled(round_seed.child("heldout"), data.heldout.labels.len());
            let mut reports = vec![];
            for (v, panelist) in panel.iter().enumerate() {
                let mut chosen = order[v * ROWS_PER_VALIDATOR..(v + 1) * ROWS_PER_VALIDATOR].to_vec(); chosen.sort();
                let batch = rows(&data.heldout, &chosen);
                let (with, _) = losses(&spec, &aggregate.model(), &batch);
                let mut findings: Vec<Finding> = active.iter().zip(&gates).filter_map(|(p, g)| Some(Finding { generator: ids[*p], update: base_digest, assessment: Assessment::Gated { failure: (*g)? } })).collect();
                for (k, &p) in scored.iter().enumerate() {
                    let (without, _) = losses(&spec, &aggregate.model_without(k), &batch);
                    findings.push(Finding { generator: ids[p], update: base_digest, assessment: Assessment::Scored { weight_ppb: weight_ppb(weights[k]), score: MarginalScore::measure(&batch.labels, &without, &with).unwrap() } });
                }
                reports.push(ValidatorReport { validator: panelist.validator, base: base_digest, rows: base_digest, findings });
            }
            let decision = decide(&options.rules, &panel, &reports, &memory).unwrap();
            memory = decision.memory.clone();
            let ok: BTreeSet<GeneratorId> = decision.accepted().into_iter().collect();
            accepted.retain(|p| ok.contains(&ids[*p]));
            for &p in &active {
                let rejected = !ok.contains(&ids[p]);
                if attacked && p == poisoner { result.attackers_rejected[0] += rejected as u32; }
                else if attacked && p == rider { result.attackers_rejected[1] += rejected as u32; }
                else { result.honest += 1; result.honest_rejected += rejected as u32; }
            }
            if options.verbose {
                for verdict in &decision.verdicts {
                    let p = ids.iter().position(|i| *i == verdict.generator).unwrap();
                    let m: Vec<String> = verdict.votes.iter().map(|v| v.measure.map_or("gate".into(), |m| format!("z{:6.1} r{:6.1} e{:6.1} c{:6.1}", m.z.to_f64(), m.relative.to_f64(), m.memory.to_f64(), m.worst_class.to_f64()))).collect();
                    let tag = if !attacked { ' ' } else if p == poisoner { 'P' } else if p == rider { 'F' } else { ' ' };
                    println!("  seed {seed_number} round {round} p{p:02}{tag} rows {:4} norm {:5.2} {} {}", shards[p].len(), updates[&p].norm(), m.join(" | "), if verdict.outcome == Outcome::Accepted { "" } else { "REJECTED" });
                }
            }
        }
        let list: Vec<(&Parameters, u64)> = accepted.iter().map(|p| (&updates[p], shards[*p].len() as u64)).collect();
        let settings = if mode == Mode::NoValidation { AggregationSettings::PLAIN } else { AggregationSettings::default() };
        base = RoundAggregate::new(&base, &list, &settings).model();
        if options.verbose { println!("  {mode:?} seed {seed_number} round {round}: test {:.3}", losses(&spec, &base, &data.test).1); }
    }
    let (l, accuracy) = losses(&spec, &base, &data.test);
    result.accuracy = accuracy;
    result.loss = LossChange::measure(&l, &l).unwrap().after_nats();
    result.seconds = started.elapsed().as_secs_f64();
    result
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let get = |name: &str, default: &str| args.iter().position(|a| a == name).map_or(default.to_owned(), |i| args[i + 1].clone());
    let seeds = get("--seeds", "1-10");
    let (a, b) = seeds.split_once('-').unwrap();
    let modes = get("--modes", "vhn");
    let d = TrainSettings::default();
    let mut rules = DecisionRules::default();
    let f = |name: &str, old: Fixed| get(name, &old.to_f64().to_string()).parse().map(Fixed::round).unwrap();
    rules.z_reject = f("--z", rules.z_reject);
    rules.memory_reject = f("--e", rules.memory_reject);
    rules.worst_class_reject = f("--class", rules.worst_class_reject);
    rules.relative_limit = f("--limit", rules.relative_limit);
    let options = Options {
        rounds: get("--rounds", "5").parse().unwrap(), alpha: get("--alpha", "0.5").parse().unwrap(),
        train: TrainSettings { epochs: get("--epochs", &d.epochs.to_string()).parse().unwrap(), batch_size: get("--batch", &d.batch_size.to_string()).parse().unwrap(), learning_rate: get("--lr", &d.learning_rate.to_string()).parse().unwrap(), momentum: get("--momentum", &d.momentum.to_string()).parse().unwrap() },
        gates: GateRules::default(), rules, family: get("--family", "cnn").parse().unwrap(), verbose: args.iter().any(|a| a == "-v"),
    };
    let data = load();
    let queue = std::sync::Mutex::new((a.parse::<u64>().unwrap()..=b.parse().unwrap()).collect::<Vec<_>>());
    queue.lock().unwrap().reverse();
    let table = std::sync::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| for _ in 0..2 { scope.spawn(|| loop {
        let Some(seed) = queue.lock().unwrap().pop() else { break };
        let mut row = BTreeMap::new();
        for (c, mode) in [('v', Mode::Validated), ('h', Mode::HonestAlone), ('n', Mode::NoValidation), ('w', Mode::HonestValidated)] {
            if modes.contains(c) { let r = run(&data, &options, seed, mode); println!("{seed} {mode:?} {r:?}"); row.insert(c, r); }
        }
        table.lock().unwrap().insert(seed, row);
    }); });
    println!("| seed | poisoner out | free-rider out | honest out | with PoV | honest alone | no PoV |");
    let table = table.into_inner().unwrap();
    let mut t = [0u32; 4];
    for (seed, row) in &table {
        let get = |c| row.get(&c).cloned().unwrap_or_default();
        let v: Result_ = if row.contains_key(&'v') { get('v') } else { get('w') };
        t[0] += v.attackers_rejected[0]; t[1] += v.attackers_rejected[1]; t[2] += v.honest_rejected; t[3] += v.honest;
        println!("| {seed} | {} | {} | {} of {} | {:.3} | {:.3} | {:.3} |", v.attackers_rejected[0], v.attackers_rejected[1], v.honest_rejected, v.honest, v.accuracy, get('h').accuracy, get('n').accuracy);
    }
    println!("total {t:?}");
}
