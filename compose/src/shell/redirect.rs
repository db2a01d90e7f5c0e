//! Redirections.

use std::rc::Rc;

use super::files::{Access, Description, Handle};
use super::state::{Flow, Run, Shell};
use super::syntax::{Redirect, RedirectAction};

impl Shell<'_> {
    /// Carries out redirections in order; `false` (with a message) as soon as one fails. The caller puts the old
    /// files back.
    pub(super) fn redirect_all(&mut self, redirects: &[Redirect]) -> Run<bool> {
        let stderr = self.handle(2);
        for redirect in redirects {
            if let Err(message) = self.redirect(redirect)? {
                if message.is_empty() {
                    return Ok(false);
                }
                // The message goes where errors went before, as in dash.
                let files = self.state.files.clone();
                match stderr {
                    Some(stderr) => self.state.files.insert(2, stderr),
                    None => self.state.files.remove(&2),
                };
                self.complain(&message);
                self.state.files = files;
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn redirect(&mut self, redirect: &Redirect) -> Run<Result<(), String>> {
        let opened = match &redirect.action {
            RedirectAction::Read(word) => self.open_word(word, Access::Read)?,
            RedirectAction::Write(word) if self.state.options.has("noclobber") => {
                let path = self.string(word)?;
                if self.system.tree.is_file(&self.absolute(&path)) {
                    Err(format!("cannot create {path}: File exists"))
                } else {
                    self.open(&path, Access::Write)?
                }
            }
            RedirectAction::Write(word) | RedirectAction::Clobber(word) => self.open_word(word, Access::Write)?,
            RedirectAction::Append(word) => self.open_word(word, Access::Append)?,
            RedirectAction::ReadWrite(word) => self.open_word(word, Access::ReadWrite)?,
            RedirectAction::Both(word, append) => {
                let access = if *append { Access::Append } else { Access::Write };
                let opened = self.open_word(word, access)?;
                if let Ok(handle) = &opened {
                    self.state.files.insert(2, Rc::clone(handle));
                }
                opened
            }
            RedirectAction::Here(body) => {
                let text = match body.get() {
                    Some(word) => self.string(word),
                    None => Ok(String::new()),
                };
                match text {
                    Ok(text) => Ok(Description::input(text)),
                    // dash expands here-documents while it redirects: what goes wrong is a redirection that failed
                    // (with its message already written), not the end of the script.
                    Err(Flow::Error) => Err(String::new()),
                    Err(flow) => return Err(flow),
                }
            }
            RedirectAction::HereString(word) => {
                let text = self.string(word)?;
                Ok(Description::input(format!("{text}\n")))
            }
            RedirectAction::Duplicate(word) => {
                let source = self.string(word)?;
                if source == "-" {
                    self.state.files.remove(&redirect.fd);
                    return Ok(Ok(()));
                }
                match source.parse().ok() {
                    Some(fd) => self.handle(fd).ok_or_else(|| format!("{fd}: Bad file descriptor")),
                    None if self.state.bash && redirect.fd == 1 => {
                        let opened = self.open(&source, Access::Write)?;
                        if let Ok(handle) = &opened {
                            self.state.files.insert(2, Rc::clone(handle));
                        }
                        opened
                    }
                    None => return Err(self.error("Syntax error: Bad fd number")),
                }
            }
        };
        Ok(opened.map(|handle| {
            self.state.files.insert(redirect.fd, handle);
        }))
    }

    fn open_word(&mut self, word: &super::syntax::Word, access: Access) -> Run<Result<Handle, String>> {
        let path = self.string(word)?;
        self.open(&path, access)
    }
}
