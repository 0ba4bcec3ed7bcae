//! Every `dozen` command in README.md and docs/ runs, in the order in which a reader would run them.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

fn repository() -> PathBuf {
    // Tests run in their package's folder; the commands run elsewhere.
    Path::new("../..").canonicalize().unwrap()
}

/// The commands of the page's `sh` blocks. Those of `sh sql` need a program that another workspace builds, whose tests run
/// them (`crates/dozen-datafusion/tests/page.rs`): a page's other blocks stand without them.
fn commands(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("```") {
            Some(language) => inside = !inside && language == "sh",
            None if inside => {
                let line = line.replace("cargo run --release -- ", "dozen ");
                found.extend(
                    line.split('#').next().and_then(|l| l.trim().strip_prefix("dozen ")).map(str::to_owned),
                );
            }
            None => {}
        }
    }
    found
}

/// Splits a command line at blanks outside double quotes.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('"').enumerate();
    let mut words = Vec::new();
    for (index, piece) in pieces {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_command_on_every_page_runs() {
    let mut pages = vec![repository().join("README.md")];
    let docs = std::fs::read_dir(repository().join("docs")).unwrap();
    pages.extend(docs.map(|f| f.unwrap().path()).filter(|f| f.extension().is_some_and(|e| e == "md")));
    for page in &pages {
        // A copy of what a reader has: this file and these pages are texts for some commands.
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(repository().join("README.md"), folder.path().join("README.md")).unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        for page in &pages[1..] {
            std::fs::copy(page, folder.path().join("docs").join(page.file_name().unwrap())).unwrap();
        }
        let commands = commands(page);
        assert!(!commands.is_empty(), "{} has no commands", page.display());
        for line in commands {
            assert!(
                !line.starts_with("sql "),
                "{}: `dozen {line}` belongs into a block `sh sql`",
                page.display()
            );
            let output = Command::cargo_bin("dozen")
                .unwrap()
                .current_dir(folder.path())
                .args(words(&line))
                .output()
                .unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: dozen {line}\n{message}", page.display());
        }
    }
}

#[test]
fn examples_in_helps_stand_on_the_pages() {
    let mut pages = vec![repository().join("README.md")];
    pages.extend(std::fs::read_dir(repository().join("docs")).unwrap().map(|file| file.unwrap().path()));
    let pages = pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md"));
    let documented: Vec<String> =
        pages.flat_map(|page| commands(page)).map(|line| line.trim().to_owned()).collect();
    let help = |words: &[&str]| {
        let output = Command::cargo_bin("dozen").unwrap().args(words).arg("--help").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let nouns = help(&[]);
    let nouns =
        nouns.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let mut examples = 0;
    for noun in nouns.filter_map(|line| line.split_whitespace().next()) {
        if ["help", "sql"].contains(&noun) {
            continue;
        }
        for line in help(&[noun]).lines().filter_map(|line| line.strip_prefix("  dozen ")) {
            assert!(documented.iter().any(|known| known == line), "no page has `dozen {line}`");
            examples += 1;
        }
    }
    assert!(examples > 30, "{examples} examples");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            assert!(repository().join(file).exists(), "{page} links to {link}, which is not there");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(repository().join(file)).unwrap().to_lowercase();
                let found =
                    text.lines().any(|line| line.trim_start_matches('#').trim().replace(' ', "-") == heading);
                assert!(found, "{page} links to {link}, and there is no such heading");
            }
        }
    }
}
