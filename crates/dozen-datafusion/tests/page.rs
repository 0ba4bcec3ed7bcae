//! The commands of docs/sql.md run, in the order in which a reader would run them. `DOZEN` names the program `dozen`, which
//! the other workspace builds; without it this test is passed over.

use std::path::Path;
use std::process::Command;

/// Splits a command line at blanks outside double quotes.
fn words(line: &str) -> Vec<String> {
    let pieces = line.split('"').enumerate();
    pieces
        .flat_map(|(index, piece)| match index % 2 {
            1 => vec![piece.to_owned()],
            _ => piece.split_whitespace().map(str::to_owned).collect(),
        })
        .collect()
}

#[test]
fn every_command_of_the_page_runs() {
    let Some(dozen) = std::env::var_os("DOZEN") else {
        println!("passed over: the environment variable DOZEN does not name the program `dozen`");
        return;
    };
    let page = std::fs::read_to_string(Path::new("../../docs/sql.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut inside, mut count) = (false, 0);
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside && language.starts_with("sh");
            continue;
        }
        let Some(line) = line.split('#').next().and_then(|line| line.trim().strip_prefix("dozen ")) else {
            continue;
        };
        if !inside {
            continue;
        }
        let arguments = words(line);
        let mut command = match arguments.split_first() {
            Some((noun, rest)) if noun == "sql" => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_dozen-sql"));
                command.args(rest);
                command
            }
            _ => {
                let mut command = Command::new(&dozen);
                command.args(&arguments);
                command
            }
        };
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "dozen {line}\n{}", String::from_utf8_lossy(&output.stderr));
        count += 1;
    }
    assert!(count > 15, "{count}");
}
