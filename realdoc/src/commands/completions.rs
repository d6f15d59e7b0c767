//! `completions`: the scripts, which know instances and releases besides options.
//!
//! Owns: what is added to the scripts that come from the definition of the command line. Must not: look anything up itself;
//! the scripts ask `realdoc __names`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::Result;
use crate::report::Report;

/// Prints the completion script of a shell.
///
/// # Errors
/// It cannot be written.
pub fn print(report: Report, shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "realdoc", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    report.print(&match shell {
        Shell::Bash => script + BASH,
        Shell::Fish => script + FISH,
        Shell::Zsh => with_names(&script),
        _ => script,
    })
}

const BASH: &str = r#"
_realdoc_names() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} names=
    case $before in
        --to | --canary | log) names=instances ;;
        --from | --release | activate | verify | mark-bad | drain) names=releases ;;
    esac
    if [[ $names && $word != -* && $word != */* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(realdoc __names "$names" 2>/dev/null)" -- "$word")
        return
    fi
    _realdoc "$@"
}
complete -F _realdoc_names -o bashdefault -o default realdoc
"#;

const FISH: &str = r#"
for option in to canary
    complete -c realdoc -l $option -x -a "(realdoc __names instances 2>/dev/null)"
end
for option in from release
    complete -c realdoc -l $option -x -a "(realdoc __names releases 2>/dev/null)"
end
complete -c realdoc -n "__fish_seen_subcommand_from log" -f -a "(realdoc __names instances 2>/dev/null)"
complete -c realdoc -n "__fish_seen_subcommand_from activate verify mark-bad" -f -a "(realdoc __names releases 2>/dev/null)"
complete -c realdoc -n "__fish_seen_subcommand_from drain" -a "(realdoc __names releases 2>/dev/null)"
"#;

const ZSH: &str = r#"
_realdoc_instances() {
    local names=(${(f)"$(realdoc __names instances 2>/dev/null)"})
    compadd -a names
}
_realdoc_releases() {
    local names=(${(f)"$(realdoc __names releases 2>/dev/null)"})
    compadd -a names
}
"#;

/// The script of zsh, with functions of ours where it has no better ones.
fn with_names(script: &str) -> String {
    let mut named = String::new();
    for line in script.split_inclusive('\n') {
        // The heading has to stay the first line.
        if line.starts_with("autoload ") {
            named.push_str(ZSH);
        }
        let completes = |options: &[&str]| options.iter().any(|option| line.contains(option));
        let function = if completes(&["--to=[", "--canary=[", "'::name --"]) {
            "_realdoc_instances"
        } else if completes(&["--from=[", "--release=[", "':release --"]) {
            "_realdoc_releases"
        } else {
            "_default"
        };
        named.push_str(&line.replace(":_default'", &format!(":{function}'")));
    }
    named
}
