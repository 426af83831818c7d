//! Which pipelines a file may name: those that would be applied with it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use tale_pipeline::{Source, parse};

use crate::pipelines;

/// The folder whose pipelines are known wherever it is.
pub const USUAL_FOLDER: &str = "pipelines";

/// The names of the pipelines in `sources`, in the folders of `paths`, in `pipelines` and in this build.
pub fn names(sources: &[Source], paths: &[PathBuf]) -> BTreeSet<String> {
    let folders: BTreeSet<&Path> =
        paths.iter().map(|path| folder_of(path)).chain([Path::new(USUAL_FOLDER)]).collect();
    let neighbours = folders
        .into_iter()
        // a neighbour that cannot be read is not what was asked about
        .flat_map(|folder| pipelines::read_folder(folder).unwrap_or_default())
        .chain(pipelines::built_in());
    let mut names: BTreeSet<String> = neighbours.filter_map(|source| name_of(&source)).collect();
    names.extend(sources.iter().filter_map(name_of));
    names
}

/// The name that a source gives its pipeline, also where other parts of it are wrong.
pub fn name_of(source: &Source) -> Option<String> {
    if let Ok(spec) = parse(source) {
        return Some(spec.name.to_string());
    }
    let value = source.text.lines().find_map(|line| line.strip_prefix("pipeline:"))?;
    let name = value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    (!name.is_empty()).then(|| name.to_owned())
}

fn folder_of(path: &Path) -> &Path {
    if path.is_dir() {
        return path;
    }
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
