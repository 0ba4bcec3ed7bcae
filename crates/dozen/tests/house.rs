//! The house stands: imports go one way, and what is said of families is said of all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A crate's modules by their paths, each with its source up to its tests.
type Modules = BTreeMap<Vec<String>, String>;

fn modules(source: &Path) -> Modules {
    fn walk(folder: &Path, path: &[String], modules: &mut Modules) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            let inner: Vec<String> = path.iter().cloned().chain([stem.clone()]).collect();
            if file.is_dir() {
                walk(&file, &inner, modules);
            } else if file.extension().is_some_and(|end| end == "rs") {
                let own = matches!(stem.as_str(), "mod" | "lib" | "main");
                let text = std::fs::read_to_string(&file).unwrap();
                let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap().to_owned();
                // A library and its program in one folder are two crates; the program is looked at.
                let known = modules.entry(if own { path.to_vec() } else { inner }).or_default();
                known.push_str(&text);
            }
        }
    }
    let mut modules = Modules::new();
    walk(source, &[], &mut modules);
    modules
}

/// The paths that `use` declarations name, each as its segments; those that are public again are marked.
fn uses(text: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("use ") {
        let before = &rest[..at];
        let line = before.rsplit('\n').next().unwrap().trim();
        rest = &rest[at + 4..];
        let is_use = line.is_empty() || line.starts_with("pub");
        if !is_use {
            continue;
        }
        let Some(end) = rest.find(';') else { break };
        let declared: String = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        expand(&[], &declared, &mut |path| found.push((line.starts_with("pub"), path)));
        rest = &rest[end..];
    }
    found
}

/// `a::{b, c::d as e}` as `a::b` and `a::c::d`.
fn expand(prefix: &[String], text: &str, found: &mut impl FnMut(Vec<String>)) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    if let Some((head, inside)) = text.split_once('{') {
        let head = head.trim().trim_end_matches("::");
        let path: Vec<String> = prefix
            .iter()
            .cloned()
            .chain(head.split("::").filter(|s| !s.is_empty()).map(Into::into))
            .collect();
        let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
        let (mut depth, mut start) = (0, 0);
        for (at, letter) in inside.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&path, &inside[start..at], found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        expand(&path, &inside[start..], found);
        return;
    }
    let name = text.split(" as ").next().unwrap().trim();
    found(prefix.iter().cloned().chain(name.split("::").map(|segment| segment.trim().into())).collect());
}

/// The module that a path leads to from another, by way of what modules make public again.
fn resolved(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Vec<String>> {
    let (mut place, mut rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (from.to_vec(), &path[1..]),
        "super" => (from[..from.len().checked_sub(1)?].to_vec(), &path[1..]),
        first if modules.contains_key(&[from, &[first.to_owned()]].concat()) => (from.to_vec(), path),
        _ => return None,
    };
    while let Some(segment) = rest.first() {
        if segment == "super" {
            place.pop();
            rest = &rest[1..];
            continue;
        }
        let next: Vec<String> = place.iter().cloned().chain([segment.clone()]).collect();
        if modules.contains_key(&next) {
            place = next;
            rest = &rest[1..];
            continue;
        }
        // Not a module, but perhaps the name of something that the module has from another.
        let again =
            uses(&modules[&place]).into_iter().find(|(public, used)| *public && used.last() == Some(segment));
        return match again {
            Some((_, used)) if depth < 8 => resolved(modules, &place, &used, depth + 1).or(Some(place)),
            _ => Some(place),
        };
    }
    Some(place)
}

/// Which modules import which, but for a module and those above or below it.
fn imports(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let is_kin = |a: &[String], b: &[String]| a.starts_with(b) || b.starts_with(a);
    let of = |(module, text): (&Vec<String>, &String)| {
        let targets = uses(text).into_iter().filter_map(|(_, path)| resolved(modules, module, &path, 0));
        (module.clone(), targets.filter(|target| !is_kin(module, target)).collect())
    };
    modules.iter().map(of).collect()
}

/// Modules that import each other, by whatever way.
fn circles(imports: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>) -> Vec<Vec<String>> {
    let reach = |from: &Vec<String>| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = open.pop() {
            for next in imports.get(&module).into_iter().flatten() {
                if seen.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|module| (module.clone(), reach(module))).collect();
    let in_circle = reached.iter().filter(|(module, seen)| seen.contains(*module));
    let circle = |(module, seen): (&Vec<String>, &BTreeSet<Vec<String>>)| {
        let with: BTreeSet<String> = seen
            .iter()
            .filter(|other| reached[*other].contains(module))
            .map(|other| other.join("::"))
            .collect();
        with.into_iter().collect::<Vec<_>>()
    };
    in_circle.map(circle).collect::<BTreeSet<_>>().into_iter().collect()
}

fn crates() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .collect();
    folders.sort();
    folders
}

#[test]
fn no_files_import_each_other() {
    let mut found = Vec::new();
    for source in crates() {
        for circle in circles(&imports(&modules(&source))) {
            found.push(format!("{}: {}", source.display(), circle.join(", ")));
        }
    }
    assert!(found.is_empty(), "{} circles:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_program_goes_one_way_down() {
    let program = modules(&root().join("crates/dozen/src"));
    for (module, targets) in imports(&program) {
        let is_command = module.first().is_some_and(|first| first == "commands");
        for target in targets {
            let above = matches!(target.first().map(String::as_str), Some("args" | "resume"));
            assert!(!(is_command && above), "{} imports {}", module.join("::"), target.join("::"));
        }
    }
}

#[test]
fn every_family_is_in_the_docs_the_bench_and_the_tour() {
    let read = |path: &str| {
        std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let (readme, bench, tour) =
        (read("README.md"), read("bench/run"), read("crates/dozen/src/commands/tour.rs"));
    for family in dozen::FAMILIES {
        let noun = family.noun;
        let page = read(&format!("docs/{noun}.md"));
        assert!(page.contains(&format!("dozen {noun} ")), "docs/{noun}.md has no command");
        for (place, text) in [("README.md", &readme), ("bench/run", &bench)] {
            assert!(text.contains(noun), "{place} does not name {noun}");
        }
        assert!(tour.contains(&format!("(\"{noun}\", ")), "the tour has no stop of {noun}");
    }
}

/// The words in backticks in the string literals of a source, where they are names of settings.
fn settings_named(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let literals = code.split('"').skip(1).step_by(2);
    let words = literals.flat_map(|literal| literal.split('`').skip(1).step_by(2));
    words.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')).map(str::to_owned).collect()
}

#[test]
fn settings_that_libraries_name_are_flags() {
    let of = |noun: &str| {
        let program = assert_cmd::cargo::cargo_bin("dozen");
        let verbs = ["train", "import", "generate"].map(|verb| {
            let help = std::process::Command::new(&program).args([noun, verb, "--help"]).output().unwrap();
            String::from_utf8(help.stdout).unwrap()
        });
        verbs.concat()
    };
    let mut named = 0;
    for (noun, folder) in [
        ("flow", "dozen-nn/src"),
        ("flow", "dozen-generative/src/flow"),
        ("gan", "dozen-generative/src/gan"),
        ("vae", "dozen-generative/src/vae"),
        ("autoregressive", "dozen-generative/src/autoregressive"),
        ("rnn", "dozen-sequence/src"),
        ("efficientnet", "dozen-vision/src/efficientnet"),
        ("detector", "dozen-vision/src/detector"),
    ] {
        let flags = of(noun);
        for (module, text) in modules(&root().join("crates").join(folder)) {
            for setting in settings_named(&text).iter().filter(|_| text.contains("Error::Setting")) {
                let flag = format!("--{}", setting.replace('_', "-"));
                assert!(flags.contains(&flag), "{noun}, {}: {flag} is no flag", module.join("::"));
                named += 1;
            }
        }
    }
    assert!(named > 20, "{named}");
}
