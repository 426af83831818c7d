//! The params of a run on the command line.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Map, Value};
use tale_pipeline::{PARAMS_BYTES_MAX, PipelineSpec, Source, parse_param_text, parse_params};

use crate::failure::{Failure, UNUSABLE};

/// The params of a run.
#[derive(Debug, Args)]
pub struct ParamArguments {
    /// A parameter; repeat for more.
    #[arg(short, long = "param", value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// A file of parameters, YAML or JSON, at most 1 MiB; `-` is standard input. `--param` overrides what it says.
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,
}

impl ParamArguments {
    /// The params that are given, read as the types that the pipeline declares.
    pub fn read(&self, spec: &PipelineSpec) -> Result<Map<String, Value>, Failure> {
        let mut params = match &self.params_file {
            Some(path) => read_file(path)?,
            None => Map::new(),
        };
        let mut given = Map::new();
        for text in &self.params {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::new(format!("{text:?} is not a parameter"))
                    .code(UNUSABLE)
                    .help("expected KEY=VALUE"));
            };
            let value = parse_param_text(spec, key, value).map_err(|problem| {
                let failure = Failure::new(problem.to_string()).code(UNUSABLE);
                match problem.help {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            })?;
            if given.insert(key.to_owned(), value).is_some() {
                return Err(Failure::new(format!("the parameter {key} is given twice")).code(UNUSABLE));
            }
        }
        params.extend(given);
        Ok(params)
    }
}

fn read_file(path: &Path) -> Result<Map<String, Value>, Failure> {
    let help = "put large data into an artifact or the object store, and name it in a parameter";
    let source = if path == Path::new("-") {
        let text = read_text(io::stdin().lock(), PARAMS_BYTES_MAX, "standard input", help)?;
        Source { name: "standard input".to_owned(), text }
    } else {
        read_source(path, PARAMS_BYTES_MAX, help)?
    };
    parse_params(&source).map_err(|problems| Failure::problems(&source, problems))
}

/// A text file of at most so many bytes; of a larger one, no more is read.
pub fn read_source(path: &Path, bytes_max: usize, help: &str) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let cannot_read = |error: io::Error| Failure::new(format!("cannot read {name}: {error}")).code(UNUSABLE);
    let text = read_text(File::open(path).map_err(cannot_read)?, bytes_max, &name, help)?;
    Ok(Source { name, text })
}

fn read_text(reader: impl Read, bytes_max: usize, name: &str, help: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    reader
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("cannot read {name}: {error}")).code(UNUSABLE))?;
    if bytes.len() > bytes_max {
        return Err(Failure::new(format!("{name} has more than {bytes_max} bytes"))
            .code(UNUSABLE)
            .help(help));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        Failure::new(format!("{name}:{line}: the file is not UTF-8 text")).code(UNUSABLE)
    })
}
