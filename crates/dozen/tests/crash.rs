//! Whatever change to the disk is the last before the process ends, or the first that fails, what is there is whole: the
//! old model or the new one, and a run that is resumed comes to the same bytes. (`dozen_run::disk` says how faults are made.)

use std::path::Path;
use std::process::Output;

mod program;

/// Bits whose columns hang together.
fn table() -> String {
    let row = |i: u32| format!("{},{},{}\n", i % 2, u32::from(i % 4 < 2), (i / 4) % 2);
    format!("a,b,c\n{}", (0..24).map(row).collect::<String>())
}

const TRAIN: &str = "autoregressive train d.csv --out m --hidden 4 --epochs 2 --batch-size 8 --checkpoint-every 0 --seed 1 --quiet";
const OTHER: &str = "autoregressive train d.csv --out m --hidden 3 --epochs 1 --seed 2 --quiet";

fn with_fault(folder: &Path, line: &str, fault: &str) -> Output {
    let mut command = assert_cmd::Command::cargo_bin("dozen").unwrap();
    command.current_dir(folder).env("DOZEN_FAULT", fault).args(line.split_whitespace()).output().unwrap()
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("d.csv"), table()).unwrap();
    place
}

/// The weights in a model folder, whose other files must be there, too; none where there is no folder.
fn weights(place: &Path) -> Option<Vec<u8>> {
    let model = place.join("m");
    if !model.exists() {
        return None;
    }
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    for file in config["files"].as_array().unwrap() {
        assert!(model.join(file.as_str().unwrap()).exists(), "{file}");
    }
    let evaluated = program::dozen(place, "autoregressive eval m d.csv");
    assert!(evaluated.status.success(), "{}", String::from_utf8_lossy(&evaluated.stderr));
    Some(std::fs::read(model.join("model.safetensors")).unwrap())
}

/// What else lies beside the data and the model.
fn leftovers(place: &Path) -> Vec<String> {
    let names = place.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "d.csv" && name != "m").collect()
}

/// What a run leaves that nothing disturbs.
fn undisturbed(line: &str) -> Vec<u8> {
    let place = place();
    let trained = program::dozen(place.path(), line);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    assert!(leftovers(place.path()).is_empty());
    weights(place.path()).unwrap()
}

/// Resumes, or begins again where there was nothing to resume.
fn go_on(place: &Path, train: &str) {
    let resumed = program::dozen(place, "autoregressive train --resume m");
    if !resumed.status.success() {
        let said = String::from_utf8_lossy(&resumed.stderr);
        assert_eq!(resumed.status.code(), Some(2), "{said}");
        if !said.contains("holds a finished model") {
            let again = program::dozen(place, train);
            assert!(again.status.success(), "{said}\n{}", String::from_utf8_lossy(&again.stderr));
        }
    }
}

#[test]
fn a_run_that_is_killed_at_any_change_goes_on_to_the_same_bytes() {
    let expected = undisturbed(TRAIN);
    let mut changes = 0;
    for change in 1.. {
        let place = place();
        let killed = with_fault(place.path(), TRAIN, &format!("end:{change}"));
        if killed.status.success() {
            break;
        }
        assert_eq!(killed.status.code(), Some(99), "{}", String::from_utf8_lossy(&killed.stderr));
        assert!(weights(place.path()).is_none_or(|found| found == expected), "change {change}");
        go_on(place.path(), TRAIN);
        assert_eq!(weights(place.path()).unwrap(), expected, "change {change}");
        assert!(leftovers(place.path()).is_empty(), "change {change}: {:?}", leftovers(place.path()));
        changes = change;
    }
    assert!(changes > 50, "{changes}");
}

#[test]
fn word_vectors_that_are_killed_at_any_change_go_on_to_the_same_bytes() {
    let train = "word2vec train d.txt --out m --dim 4 --epochs 2 --min-count 1 --checkpoint-every 0 --threads 1 --quiet";
    let place = || {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("d.txt"), "one two three two one three two four\n".repeat(30))
            .unwrap();
        place
    };
    let finished = |place: &Path| std::fs::read(place.join("m/model.safetensors")).unwrap();
    let whole = place();
    assert!(program::dozen(whole.path(), train).status.success());
    let expected = finished(whole.path());
    for change in 1.. {
        let place = place();
        if with_fault(place.path(), train, &format!("end:{change}")).status.success() {
            assert!(change > 30, "{change}");
            break;
        }
        if !program::dozen(place.path(), "word2vec train --resume m").status.success()
            && !place.path().join("m").exists()
        {
            assert!(program::dozen(place.path(), train).status.success(), "change {change}");
        }
        assert_eq!(finished(place.path()), expected, "change {change}");
        let vectors = program::dozen(place.path(), "word2vec nearest m two");
        assert!(vectors.status.success(), "{}", String::from_utf8_lossy(&vectors.stderr));
    }
}

#[test]
fn overwriting_that_is_killed_at_any_change_leaves_the_old_model_or_the_new_one() {
    let (old, new) = (undisturbed(OTHER), undisturbed(TRAIN));
    let overwrite = format!("{TRAIN} --overwrite");
    let mut seen = [0, 0, 0];
    for change in 1.. {
        let place = place();
        assert!(program::dozen(place.path(), OTHER).status.success());
        let killed = with_fault(place.path(), &overwrite, &format!("end:{change}"));
        if killed.status.success() {
            break;
        }
        match weights(place.path()) {
            Some(found) if found == old => seen[0] += 1,
            Some(found) => {
                assert_eq!(found, new, "change {change}");
                seen[1] += 1;
            }
            // Between the two renames: the next command puts the new one in its place.
            None => seen[2] += 1,
        }
        go_on(place.path(), &overwrite);
        let found = weights(place.path()).unwrap();
        assert!(found == new || (seen[1] == 0 && found == old), "change {change}");
        if found == old {
            // Killed before the run had begun; nothing says that there was one.
            assert!(program::dozen(place.path(), &overwrite).status.success(), "change {change}");
            assert_eq!(weights(place.path()).unwrap(), new, "change {change}");
        }
        assert!(leftovers(place.path()).is_empty(), "change {change}: {:?}", leftovers(place.path()));
    }
    assert!(seen[0] > 50 && seen[1] > 3 && seen[2] <= 2, "{seen:?}");
}

#[test]
fn a_disk_that_is_full_from_any_change_on_loses_nothing() {
    let (old, new) = (undisturbed(OTHER), undisturbed(TRAIN));
    let overwrite = format!("{TRAIN} --overwrite");
    for fault in ["full", "fail"] {
        for change in 1.. {
            let place = place();
            assert!(program::dozen(place.path(), OTHER).status.success());
            let failed = with_fault(place.path(), &overwrite, &format!("{fault}:{change}"));
            if failed.status.success() {
                break;
            }
            let said = String::from_utf8_lossy(&failed.stderr);
            assert_eq!(failed.status.code(), Some(1), "{fault}:{change}: {said}");
            assert!(said.contains("cannot ") && said.contains("DOZEN_FAULT asked for"), "{said}");
            // The person is told that the run can go on, if it can.
            let kept = place.path().join("m.partial/checkpoints/last/state.json").exists();
            let advice = "its last checkpoint is whole; `dozen autoregressive train --resume ";
            assert_eq!(said.contains(advice), kept, "{fault}:{change}: {said}");
            let found = weights(place.path()).unwrap();
            assert!(found == old || found == new, "{fault}:{change}");
            go_on(place.path(), &overwrite);
            let found = weights(place.path()).unwrap();
            if found == old {
                assert!(program::dozen(place.path(), &overwrite).status.success(), "{fault}:{change}");
            }
            assert_eq!(weights(place.path()).unwrap(), new, "{fault}:{change}");
            assert!(leftovers(place.path()).is_empty(), "{fault}:{change}: {:?}", leftovers(place.path()));
        }
    }
}

#[test]
fn an_output_that_was_there_stays_when_writing_fails() {
    let place = place();
    assert!(program::dozen(place.path(), TRAIN).status.success());
    for (line, file) in [
        ("autoregressive score m d.csv --out kept.csv", "kept.csv"),
        ("autoregressive sample m -n 5 --out kept.npy", "kept.npy"),
        ("autoregressive sample m -n 5 --out kept.parquet", "kept.parquet"),
        ("make text -n 20 --out kept.txt", "kept.txt"),
        ("make graph --nodes 20 --edges 40 --out edges.csv", "edges.csv"),
        ("transport plan d.csv d.csv --out plan.csv", "plan.csv"),
    ] {
        let kept = place.path().join(file);
        std::fs::write(&kept, "precious").unwrap();
        let failed = with_fault(place.path(), line, "full:1");
        assert_eq!(failed.status.code(), Some(1), "{line}: {}", String::from_utf8_lossy(&failed.stderr));
        assert_eq!(std::fs::read(&kept).unwrap(), b"precious", "{line}");
        let written = program::dozen(place.path(), line);
        assert!(written.status.success(), "{line}: {}", String::from_utf8_lossy(&written.stderr));
        assert_ne!(std::fs::read(&kept).unwrap(), b"precious", "{line}");
    }
    let hidden = leftovers(place.path()).into_iter().filter(|name| name.starts_with('.'));
    assert_eq!(hidden.count(), 0);
}
