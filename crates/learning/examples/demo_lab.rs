//! The demo's training without pipelines, queue and processes: the quick way to see over many seeds what a change of
//! the protocol or of the training does. The seeds are those of the task kinds, so seed N here is seed N there.
//!
//! ```sh
//! cargo run -p tale-learning --example demo_lab -- 1-10            # a table, two seeds at a time
//! cargo run -p tale-learning --example demo_lab -- 3-3 --votes     # every vote of one seed
//! cargo run -p tale-learning --example demo_lab -- --speed cuda:0  # images a second, 100 steps of each family
//! ```

use std::{error::Error, sync::Mutex, time::Instant};

use rand::Rng;
use tale_learning::{
    AggregationSettings, ComputeDevice, ModelFamily, ModelSpec, Parameters, RoundAggregate, TrainSettings,
    attack, row_losses, train,
};
use tale_primitives::{Digest, GeneratorId, Seed};
use tale_storage::{ImageBatch, ImportRequest, RowSelection, SplitRef, Store, import, partition, read_rows};
use tale_testkit::TestDatabase;
use tale_validation::{
    Assessment, Candidate, DecisionRules, Finding, Fixed, GateRules, MarginalScore, Memory, Outcome,
    Panelist, UpdateContent, ValidatorReport, Verdict, decide, gate, weight_ppb,
};

type Failure = Box<dyn Error + Send + Sync>;

const PARTICIPANTS: usize = 12;
const VALIDATORS: usize = 3;
const ROUNDS: u32 = 5;
const ALPHA: f64 = 0.5;
const ROWS_PER_VALIDATOR: usize = 500;
const DEVICE: ComputeDevice = ComputeDevice::Flex;

/// Who takes part, and what becomes of their updates.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Validated,
    HonestAlone,
    PlainAverage,
}

/// The data set as the demo divides it.
struct Data {
    spec: ModelSpec,
    heldout: ImageBatch,
    test: ImageBatch,
}

/// What each participant has, and who misbehaves (places in the list of participants).
struct Cast {
    seed: u64,
    shards: Vec<ImageBatch>,
    poisoner: usize,
    rider: usize,
    victim: usize,
}

/// One participant's update in one round.
struct Sent {
    participant: usize,
    update: Parameters,
    examples: u64,
    commitment: u32,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    poison_rejected: u32,
    copies_rejected: u32,
    honest: u32,
    honest_rejected: u32,
    accuracy: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let database = runtime.block_on(TestDatabase::create());
    let directory = tempfile::tempdir()?;
    let store = Store::open(&format!("file://{}", directory.path().display()))?;
    let read = |split: &SplitRef| runtime.block_on(read_rows(&store, split, RowSelection::All));

    let request = ImportRequest {
        path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/datasets/fashion.parquet").into(),
        name: "fashion".parse()?,
        image_column: "image".to_owned(),
        label_column: "label".to_owned(),
        shape: None,
        seed: ImportRequest::default_seed(),
    };
    let mut connection = runtime.block_on(database.connection());
    let manifest = runtime.block_on(import(&store, &mut connection, &request, &|_| {}))?;
    let spec = ModelSpec { family: ModelFamily::Cnn, shape: manifest.shape, classes: manifest.classes };
    let data = Data { spec, heldout: read(&manifest.heldout)?, test: read(&manifest.test)? };
    if is_given("--speed") {
        let device = arguments.last().and_then(|last| last.parse().ok()).unwrap_or(DEVICE);
        return speed(&read(&manifest.train)?, spec, device);
    }

    let range = arguments.first().map_or("1-10", String::as_str);
    let (first, last) = range.split_once('-').ok_or("expected seeds as FIRST-LAST")?;
    let mut casts = Vec::new();
    for number in first.parse::<u64>()?..=last.parse()? {
        let seed = Seed::new(number);
        let shards =
            runtime.block_on(partition(&store, &manifest, PARTICIPANTS, ALPHA, seed.child("partition")))?;
        casts.push(Cast::draw(number, shards.iter().map(read).collect::<Result<_, _>>()?));
    }
    table(&data, casts, is_given("--votes"))
}

/// Runs all seeds in all forms, two seeds at a time, and prints a line for each.
fn table(data: &Data, mut casts: Vec<Cast>, votes: bool) -> Result<(), Failure> {
    casts.reverse();
    let (queue, results) = (Mutex::new(casts), Mutex::new(Vec::new()));
    let next = || queue.lock().map(|mut queue| queue.pop()).unwrap_or_default();
    let work = || -> Result<(), Failure> {
        while let Some(cast) = next() {
            let started = Instant::now();
            let validated = run(data, &cast, Form::Validated, votes)?;
            let seconds = started.elapsed().as_secs_f64();
            let honest = run(data, &cast, Form::HonestAlone, false)?;
            let plain = run(data, &cast, Form::PlainAverage, false)?;
            eprintln!("seed {}: {seconds:.0} s with PoV", cast.seed);
            if let Ok(mut results) = results.lock() {
                results.push((cast.seed, validated, honest, plain));
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<(), Failure> {
        let threads = [scope.spawn(work), scope.spawn(work)];
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;

    let mut results = results.into_inner().map_err(|_| "a thread panicked")?;
    results.sort_by_key(|(number, ..)| *number);
    println!(
        "| seed | poison rejected | copies rejected | honest rejected | with the ten alone | PoV | ten alone | PoV off |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (number, validated, honest, plain) in results {
        println!(
            "| {number} | {} | {} | {} of {} | {} of {} | {:.3} | {:.3} | {:.3} |",
            validated.poison_rejected,
            validated.copies_rejected,
            validated.honest_rejected,
            validated.honest,
            honest.honest_rejected,
            honest.honest,
            validated.accuracy,
            honest.accuracy,
            plain.accuracy
        );
    }
    Ok(())
}

impl Cast {
    /// Two of the better half by rows misbehave, and a third of it is copied.
    fn draw(seed: u64, shards: Vec<ImageBatch>) -> Self {
        let mut candidates: Vec<usize> = (0..shards.len()).collect();
        candidates.sort_by_key(|&place| (std::cmp::Reverse(shards[place].rows()), place));
        candidates.truncate(PARTICIPANTS / 2);
        let mut rng = Seed::new(seed).child("attackers").rng();
        let mut draw = || candidates.swap_remove((rng.next_u64() % candidates.len() as u64) as usize);
        let (poisoner, rider, victim) = (draw(), draw(), draw());
        Self { seed, shards, poisoner, rider, victim }
    }

    fn misbehaves(&self, participant: usize) -> bool {
        participant == self.poisoner || participant == self.rider
    }

    /// What everyone sends in a round.
    fn send(
        &self,
        spec: &ModelSpec,
        base: &Parameters,
        round: &Seed,
        form: Form,
    ) -> Result<Vec<Sent>, Failure> {
        let honest = |participant: usize| {
            let seed = round.child("train").child(&format!("participant-{:02}", participant + 1));
            let settings = TrainSettings::default();
            train(spec, base, &self.shards[participant], &settings, seed, DEVICE, &|_| true)
        };
        let mut sent = Vec::new();
        for participant in 0..PARTICIPANTS {
            if form == Form::HonestAlone && self.misbehaves(participant) {
                continue;
            }
            let (update, late) = match participant {
                place if place == self.poisoner => (attack::poison(&honest(participant)?.update), 0),
                place if place == self.rider => {
                    (attack::free_ride(&honest(self.victim)?.update, round.child("free ride")), 1_000_000)
                }
                _ => (honest(participant)?.update, 0),
            };
            let examples = self.shards[participant].rows() as u64;
            sent.push(Sent { participant, update, examples, commitment: participant as u32 + late });
        }
        Ok(sent)
    }
}

fn run(data: &Data, cast: &Cast, form: Form, votes: bool) -> Result<Tally, Failure> {
    let seed = Seed::new(cast.seed);
    let mut base = Parameters::initial(&data.spec, seed.child("model"))?;
    let mut memory = Memory::default();
    let mut tally = Tally::default();
    for number in 1..=ROUNDS {
        let mut sent = cast.send(&data.spec, &base, &seed.child("round").child(&number.to_string()), form)?;
        let settings = match form {
            Form::PlainAverage => AggregationSettings::PLAIN,
            Form::Validated | Form::HonestAlone => {
                let rows = seed.child("held-out rows").child(&number.to_string());
                let verdicts = validate(data, &base, &sent, &rows, &mut memory)?;
                for (sent, verdict) in sent.iter().zip(&verdicts) {
                    count(&mut tally, cast, sent.participant, form, verdict);
                    if votes {
                        print_votes(number, cast, sent, verdict);
                    }
                }
                let mut accepted = verdicts.iter().map(|verdict| verdict.outcome == Outcome::Accepted);
                sent.retain(|_| accepted.next().unwrap_or(false));
                AggregationSettings::default()
            }
        };
        base = RoundAggregate::new(&base, &terms(sent.iter()), &settings).model();
    }
    let rows = row_losses(&data.spec, &base, &data.test, DEVICE)?;
    tally.accuracy = rows.iter().filter(|row| row.correct).count() as f64 / rows.len() as f64;
    Ok(tally)
}

fn terms<'a>(sent: impl Iterator<Item = &'a Sent>) -> Vec<(&'a Parameters, u64)> {
    sent.map(|sent| (&sent.update, sent.examples)).collect()
}

fn generator(role: &str, place: usize) -> GeneratorId {
    // Padded, so that the order of ids, which decisions are in, is beside the point here.
    GeneratorId::derive("lab", &format!("{role}-{:02}", place + 1))
}

/// Verdicts in the order of `sent`.
fn validate(
    data: &Data,
    base: &Parameters,
    sent: &[Sent],
    seed: &Seed,
    memory: &mut Memory,
) -> Result<Vec<Verdict>, Failure> {
    let digest = Digest::of("the round's model");
    let candidates: Vec<Candidate> = sent
        .iter()
        .map(|sent| Candidate {
            generator: generator("participant", sent.participant),
            commitment: sent.commitment,
            base: digest,
            content: UpdateContent::Finite { norm: sent.update.norm() },
        })
        .collect();
    let gates = gate(&GateRules::default(), digest, &candidates, |one, other| {
        sent[one].update.cosine(&sent[other].update)
    });
    let scored: Vec<usize> = (0..sent.len()).filter(|&place| gates[place].is_none()).collect();
    let aggregate = RoundAggregate::new(
        base,
        &terms(scored.iter().map(|&place| &sent[place])),
        &AggregationSettings::default(),
    );
    let (with, weights) = (aggregate.model(), aggregate.effective_weights());

    let order = shuffled(seed, data.heldout.rows());
    let mut panel = Vec::new();
    let mut reports = Vec::new();
    for validator in 0..VALIDATORS {
        let mut rows = order[validator * ROWS_PER_VALIDATOR..][..ROWS_PER_VALIDATOR].to_vec();
        rows.sort_unstable();
        let batch = some_rows(&data.heldout, &rows);
        let losses = |model: &Parameters| -> Result<Vec<Fixed>, Failure> {
            let rows = row_losses(&data.spec, model, &batch, DEVICE)?;
            Ok(rows.iter().map(|row| Fixed::round(row.loss_nats.into())).collect())
        };
        let with = losses(&with)?;
        let mut findings = Vec::new();
        for (place, candidate) in candidates.iter().enumerate() {
            let assessment = match (gates[place], scored.iter().position(|&scored| scored == place)) {
                (Some(failure), _) => Assessment::Gated { failure },
                (None, None) => continue,
                (None, Some(term)) => {
                    let without = losses(&aggregate.model_without(term))?;
                    let score = MarginalScore::measure(&batch.labels, &without, &with)?;
                    Assessment::Scored { weight_ppb: weight_ppb(weights[term]), score }
                }
            };
            findings.push(Finding { generator: candidate.generator, update: digest, assessment });
        }
        let validator = generator("validator", validator);
        panel.push(Panelist { validator, credibility_ppm: 1_000_000 });
        reports.push(ValidatorReport { validator, base: digest, rows: digest, findings });
    }
    let decision = decide(&DecisionRules::default(), &panel, &reports, memory)?;
    *memory = decision.memory;
    let of =
        |candidate: &Candidate| decision.verdicts.iter().find(|one| one.generator == candidate.generator);
    candidates
        .iter()
        .map(|candidate| of(candidate).cloned().ok_or("an update without a verdict".into()))
        .collect()
}

fn shuffled(seed: &Seed, length: usize) -> Vec<usize> {
    let mut rng = seed.rng();
    let mut order: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
    }
    order
}

fn some_rows(batch: &ImageBatch, rows: &[usize]) -> ImageBatch {
    let pixels = rows.iter().filter_map(|&row| batch.image(row)).flatten().copied();
    let labels = rows.iter().map(|&row| batch.labels[row]);
    ImageBatch {
        shape: batch.shape,
        classes: batch.classes,
        pixels: pixels.collect(),
        labels: labels.collect(),
    }
}

fn count(tally: &mut Tally, cast: &Cast, participant: usize, form: Form, verdict: &Verdict) {
    let rejected = u32::from(verdict.outcome != Outcome::Accepted);
    match participant {
        place if form == Form::Validated && place == cast.poisoner => tally.poison_rejected += rejected,
        place if form == Form::Validated && place == cast.rider => tally.copies_rejected += rejected,
        _ => {
            tally.honest += 1;
            tally.honest_rejected += rejected;
        }
    }
}

fn print_votes(round: u32, cast: &Cast, sent: &Sent, verdict: &Verdict) {
    let mark = match sent.participant {
        place if place == cast.poisoner => 'P',
        place if place == cast.rider => 'F',
        _ => ' ',
    };
    let votes = verdict.votes.iter().filter_map(|vote| vote.measure).map(|measure| {
        let [z, relative, memory, class] =
            [measure.z, measure.relative, measure.memory, measure.worst_class].map(|value| value.to_f64());
        format!("z {z:5.1} relative {relative:5.1} memory {memory:5.1} class {class:5.1}")
    });
    println!(
        "seed {} round {round} participant {:2}{mark} rows {:4} norm {:5.2}: {} [{}]",
        cast.seed,
        sent.participant + 1,
        sent.examples,
        sent.update.norm(),
        verdict.outcome.name(),
        votes.collect::<Vec<_>>().join(" | ")
    );
}

/// Images a second on a device: 100 steps of training, and the evaluation of the same rows, by the clock.
fn speed(train_rows: &ImageBatch, spec: ModelSpec, device: ComputeDevice) -> Result<(), Failure> {
    let settings = TrainSettings { epochs: 1, ..TrainSettings::default() };
    let batch = some_rows(train_rows, &(0..100 * settings.batch_size as usize).collect::<Vec<_>>());
    for family in [ModelFamily::Cnn, ModelFamily::Mlp] {
        let spec = ModelSpec { family, ..spec };
        let base = Parameters::initial(&spec, Seed::new(1))?;
        // Once unmeasured: a GPU compiles its kernels first.
        for measured in [false, true] {
            let started = Instant::now();
            let outcome = train(&spec, &base, &batch, &settings, Seed::new(1), device, &|_| true)?;
            let trained = batch.rows() as f64 / started.elapsed().as_secs_f64();
            let started = Instant::now();
            row_losses(&spec, &base, &batch, device)?;
            let evaluated = batch.rows() as f64 / started.elapsed().as_secs_f64();
            if measured {
                println!(
                    "{family} on {device}: {} parameters, 100 steps of {}: loss {:.4} to {:.4}; images a second: \
                     {trained:.0} trained, {evaluated:.0} evaluated",
                    spec.parameter_count(),
                    settings.batch_size,
                    outcome.first_loss_nats,
                    outcome.last_loss_nats
                );
            }
        }
    }
    Ok(())
}
