use crate::shell::state::{Run, Shell};

/// `cd [-L|-P] [dir|-]`
pub(super) fn cd(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let mut physical = false;
    let mut rest = &args[1..];
    while let Some(option) = rest.first().filter(|word| word.starts_with('-') && word.len() > 1) {
        match option.as_str() {
            "-L" => physical = false,
            "-P" => physical = true,
            "--" => {}
            _ => return Err(shell.error(&format!("cd: Illegal option {option}"))),
        }
        let end = option == "--";
        rest = &rest[1..];
        if end {
            break;
        }
    }
    let old = shell.state.cwd.clone();
    let (dir, shown) = match rest.first().map(String::as_str) {
        Some("-") => (shell.state.get("OLDPWD").unwrap_or(&old).to_owned(), true),
        Some(dir) => (dir.to_owned(), false),
        None => (shell.state.get("HOME").unwrap_or_default().to_owned(), false),
    };
    if dir.is_empty() {
        // Without HOME, or to "": dash stays where it is.
        return Ok(0);
    }
    let target = if physical {
        shell.absolute(&dir)
    } else {
        logical(&shell.absolute(&dir))
    };
    if !shell.system.tree.is_dir(&target) {
        return Err(shell.error(&format!("cd: can't cd to {dir}")));
    }
    let new = if physical {
        shell.system.tree.canonical(&target).unwrap_or(target)
    } else {
        target
    };
    shell.set("OLDPWD", &old)?;
    shell.set("PWD", &new)?;
    shell.state.cwd.clone_from(&new);
    if shown {
        return shell.put_out("cd", format!("{new}\n").as_bytes(), 0);
    }
    Ok(0)
}

/// An absolute path with `.` and `..` taken textually.
fn logical(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `pwd [-L|-P]`
pub(super) fn pwd(shell: &mut Shell<'_>, args: &[String]) -> Run {
    let physical = args[1..].iter().any(|arg| arg == "-P");
    let path = if physical {
        shell.physical_cwd()
    } else {
        shell.state.cwd.clone()
    };
    shell.put_out("pwd", format!("{path}\n").as_bytes(), 0)
}
