//! One CEL expression: compiled, bounded, and open about what it refers to.
//!
//! Most expressions of a pipeline are a bare path such as `steps.select.outputs.participants`. Those are read
//! here without CEL's parser and evaluated without its interpreter, which a fan-out over a hundred thousand
//! items notices; a property test holds the two ways together.

use std::ops::Range;

use cel::{
    common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo, operators},
    parser::{Expression as Tree, Parser},
};

use crate::cost;

/// The longest expression, in bytes.
pub(crate) const LENGTH_MAX: usize = 4_096;

/// How deep the tree of an expression may be: the interpreter recurses as deep.
pub(crate) const DEPTH_MAX: usize = 96;

/// How deep brackets and calls may nest: the parser recurses many times as deep.
const NESTING_MAX: usize = 24;

/// Words that CEL keeps for itself, which therefore cannot follow a dot.
pub(crate) const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Every function that an expression may call.
pub(crate) const FUNCTIONS: [&str; 24] = [
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "exists",
    "existsOne",
    "exists_one",
    "filter",
    "flatten",
    "has",
    "int",
    "map",
    "max",
    "min",
    "range",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
    "zip",
];

/// A compiled expression.
#[derive(Debug, Clone)]
pub(crate) struct Expression {
    /// What was written between the braces.
    pub text: String,
    /// The variables that it reads, each with the path below it.
    pub references: Vec<Reference>,
    /// The functions that it calls that are not operators.
    pub calls: Vec<Call>,
    /// How to evaluate it.
    pub body: Body,
}

/// How an expression is evaluated.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// By walking down from the variable of the one reference.
    Path,
    /// By the CEL interpreter.
    Tree(Box<cost::Metered>),
}

/// A variable that an expression reads, and as much of the path below it as is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The variable's name.
    pub root: String,
    /// Where in the expression it stands.
    pub range: Range<usize>,
    /// The names below it, outermost first.
    pub path: Vec<Segment>,
}

/// One name below a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The name.
    pub name: String,
    /// Where in the expression it stands.
    pub range: Range<usize>,
}

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The function's name.
    pub name: String,
    /// Where in the expression it stands.
    pub range: Range<usize>,
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Where in the expression.
    pub range: Range<usize>,
}

impl Expression {
    /// Compiles a text. What it refers to need not exist; that is the caller's to check.
    pub(crate) fn compile(text: &str) -> Result<Self, SyntaxError> {
        let whole = |message: String| SyntaxError { message, range: 0..text.len() };
        if text.trim().is_empty() {
            return Err(whole("the expression is empty".to_owned()));
        }
        if text.len() > LENGTH_MAX {
            return Err(whole(format!("the expression has {} bytes, more than {LENGTH_MAX}", text.len())));
        }
        if let Some(reference) = bare_path(text) {
            let references = vec![reference];
            return Ok(Self { text: text.to_owned(), references, calls: Vec::new(), body: Body::Path });
        }
        if let Some(at) = too_deep(text) {
            let message = format!("the expression nests more than {NESTING_MAX} levels deep");
            return Err(SyntaxError { message, range: at..at + 1 });
        }
        let parser = Parser::new().max_recursion_depth(DEPTH_MAX as u16).error_recovery_limit(4);
        let (tree, places) =
            parser.parse_with_source_info(text).map_err(|errors| syntax_error(text, &errors))?;
        let mut walk =
            Walk { text, places: &places, references: Vec::new(), calls: Vec::new(), bound: Vec::new() };
        walk.tree(&tree, 0).map_err(|message| whole(message.to_owned()))?;
        let (references, calls) = (walk.references, walk.calls);
        let body = Body::Tree(Box::new(cost::meter(tree)));
        Ok(Self { text: text.to_owned(), references, calls, body })
    }
}

/// The first of the parser's complaints, at its place.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> SyntaxError {
    let Some(error) = errors.errors.first() else {
        return SyntaxError { message: "is not an expression".to_owned(), range: 0..text.len() };
    };
    let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(error.pos.1).unwrap_or(1).max(1);
    let line_start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(line_start..).unwrap_or_default();
    let at = line_start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(place, _)| place);
    // The parser lists every token that it would take, which is most of the language.
    let message = error.msg.split(" expecting ").next().unwrap_or_default();
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message =
        message.replace("'<EOF>'", "end of the expression").replace("<EOF>", "end of the expression");
    let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let range = if width == 0 {
        text.trim_end().len().saturating_sub(1)..text.trim_end().len()
    } else {
        at..at + width
    };
    SyntaxError { message, range }
}

/// Where brackets open, or unary operators and conditionals pile up, deeper than the parser's stack should go.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut prefixes = 0_usize;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => depth += 1,
            b')' | b']' | b'}' | b':' => depth = depth.saturating_sub(1),
            _ => {}
        }
        prefixes = match byte {
            b'!' | b'-' => prefixes + 1,
            b' ' | b'\t' | b'\n' | b'\r' => prefixes,
            _ => 0,
        };
        if depth > NESTING_MAX || prefixes > NESTING_MAX {
            return Some(place);
        }
    }
    None
}

/// The reference where the text is nothing but a variable and names below it, joined by dots.
fn bare_path(text: &str) -> Option<Reference> {
    let start = text.len() - text.trim_start().len();
    let mut place = start;
    let mut segments = text.trim().split('.').map(|name| {
        let range = place..place + name.len();
        place = range.end + 1;
        is_identifier(name).then(|| Segment { name: name.to_owned(), range })
    });
    let root = segments.next()??;
    let path = segments.collect::<Option<Vec<_>>>()?;
    Some(Reference { root: root.name, range: root.range, path })
}

/// Whether this is a name to CEL, and not one of its own words.
pub(crate) fn is_identifier(name: &str) -> bool {
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && RESERVED.binary_search(&name).is_err()
}

/// A walk over the tree that collects what it refers to.
struct Walk<'t> {
    text: &'t str,
    places: &'t SourceInfo,
    references: Vec<Reference>,
    calls: Vec<Call>,
    /// The variables that the macros around this place bind.
    bound: Vec<String>,
}

impl Walk<'_> {
    fn tree(&mut self, tree: &Tree, depth: usize) -> Result<(), &'static str> {
        if depth > DEPTH_MAX {
            return Err("the expression is too deep; take it apart into several steps' outputs");
        }
        if let Some((root, id, path)) = path_of(tree) {
            self.refer(root, id, &path);
            return Ok(());
        }
        match &tree.expr {
            Expr::Unspecified => Err("this is not an expression"),
            Expr::Struct(_) => Err("there are no message types to make; write a map: {'key': value}"),
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
            Expr::Select(select) => self.tree(&select.operand, depth + 1),
            Expr::List(list) => list.elements.iter().try_for_each(|item| self.tree(item, depth + 1)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.tree(&entry.key, depth + 1)?;
                    self.tree(&entry.value, depth + 1)
                }
                EntryExpr::StructField(field) => self.tree(&field.value, depth + 1),
            }),
            Expr::Call(call) => {
                self.call(&call.func_name, tree.id);
                call.target.iter().try_for_each(|target| self.tree(target, depth + 1))?;
                call.args.iter().try_for_each(|argument| self.tree(argument, depth + 1))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth + 1),
        }
    }

    fn comprehension(&mut self, comprehension: &ComprehensionExpr, depth: usize) -> Result<(), &'static str> {
        self.tree(&comprehension.iter_range, depth)?;
        self.tree(&comprehension.accu_init, depth)?;
        let outside = self.bound.len();
        self.bound.push(comprehension.iter_var.clone());
        self.bound.extend(comprehension.iter_var2.clone());
        self.bound.push(comprehension.accu_var.clone());
        let inside = [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result];
        let walked = inside.into_iter().try_for_each(|part| self.tree(part, depth));
        self.bound.truncate(outside);
        walked
    }

    fn refer(&mut self, root: &str, id: u64, path: &[&str]) {
        if self.bound.iter().any(|bound| bound == root) {
            return;
        }
        let start = self.place(id).unwrap_or_default();
        let start = self.find(root, start);
        let mut place = start.end;
        let path = path.iter().map(|name| {
            let range = self.find(name, place);
            place = range.end;
            Segment { name: (*name).to_owned(), range }
        });
        let path = path.collect();
        self.references.push(Reference { root: root.to_owned(), range: start, path });
    }

    fn call(&mut self, name: &str, id: u64) {
        // Operators are called `_+_`, `@in` and the like, which nobody can write.
        if is_identifier(name) {
            let around = self.place(id).unwrap_or_default();
            // The recorded token is the bracket after the name, or the name itself.
            let before = self.text.get(..around).and_then(|before| before.rfind(name));
            let from = before.filter(|start| around - start <= name.len() + 2).unwrap_or(around);
            let range = self.find(name, from);
            self.calls.push(Call { name: name.to_owned(), range });
        }
    }

    /// The byte at which the token of a node starts: the parser counts characters.
    fn place(&self, id: u64) -> Option<usize> {
        let (start, _) = self.places.offset_for(id)?;
        let place = self.text.char_indices().nth(usize::try_from(start).ok()?)?.0;
        Some(place)
    }

    /// The next `name` from `from` on; the whole expression where it is written in another way, with escapes.
    fn find(&self, name: &str, from: usize) -> Range<usize> {
        let found = self.text.get(from..).and_then(|rest| rest.find(name));
        found.map_or(0..self.text.len(), |place| from + place..from + place + name.len())
    }
}

/// The variable and the names below it, where the tree is nothing but those: `a.b`, `a["b"]`, `has(a.b)`.
pub(crate) fn path_of(tree: &Tree) -> Option<(&str, u64, Vec<&str>)> {
    let mut names = Vec::new();
    let mut tree = tree;
    loop {
        tree = match &tree.expr {
            Expr::Ident(root) => {
                names.reverse();
                return Some((root, tree.id, names));
            }
            Expr::Select(select) => {
                names.push(select.field.as_str());
                &select.operand
            }
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [operand, Tree { expr: Expr::Literal(LiteralValue::String(name)), .. }] => {
                    names.push(name.inner());
                    operand
                }
                _ => return None,
            },
            _ => return None,
        };
    }
}
