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

use crate::{cost, params, template};

/// The longest expression, in bytes.
pub(crate) const LENGTH_MAX: usize = 4_096;

/// How deep the tree of an expression may be: the interpreter recurses as deep.
pub(crate) const DEPTH_MAX: usize = 96;

/// How deep brackets and calls may nest: for each level the parser's stack grows by some 100 kilobytes in an
/// unoptimised build, and threads have two megabytes.
const NESTING_MAX: usize = 10;

/// How many operands may follow one another, in all the brackets that are open at a place.
const CHAIN_MAX: usize = 120;

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
    /// How to evaluate the length, where it is `range(length)` and nothing else: a list that need not be made.
    pub range: Option<Box<cost::Metered>>,
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
    /// What would be right, where more is known than how expressions look.
    pub help: Option<&'static str>,
}

impl Expression {
    /// Compiles a text. What it refers to need not exist; that is the caller's to check.
    pub(crate) fn compile(text: &str) -> Result<Self, SyntaxError> {
        let whole = |message: String| SyntaxError { message, range: 0..text.len(), help: None };
        if text.trim().is_empty() {
            return Err(whole("the expression is empty".to_owned()));
        }
        if text.len() > LENGTH_MAX {
            return Err(whole(format!("the expression has {} bytes, more than {LENGTH_MAX}", text.len())));
        }
        if let Some(reference) = bare_path(text) {
            let references = vec![reference];
            return Ok(Self {
                text: text.to_owned(),
                references,
                calls: Vec::new(),
                body: Body::Path,
                range: None,
            });
        }
        if let Some(at) = too_deep(text) {
            let message = "the expression nests too deep, or is too long a chain".to_owned();
            let help = Some("take it apart into several steps' outputs");
            return Err(SyntaxError { message, range: at..at + 1, help });
        }
        let parser = Parser::new().max_recursion_depth(DEPTH_MAX as u16).error_recovery_limit(4);
        let (tree, places) =
            parser.parse_with_source_info(text).map_err(|errors| syntax_error(text, &errors))?;
        let mut walk =
            Walk { text, places: &places, references: Vec::new(), calls: Vec::new(), bound: Vec::new() };
        walk.tree(&tree, 0).map_err(|message| whole(message.to_owned()))?;
        let (references, calls) = (walk.references, walk.calls);
        let range = match &tree.expr {
            Expr::Call(call) if call.func_name == "range" && call.target.is_none() => {
                call.args.first().map(|length| Box::new(cost::meter(length.clone())))
            }
            _ => None,
        };
        let body = Body::Tree(Box::new(cost::meter(tree)));
        Ok(Self { text: text.to_owned(), references, calls, body, range })
    }
}

/// The first of the parser's complaints, at its place.
fn syntax_error(text: &str, errors: &cel::ParseErrors) -> SyntaxError {
    let Some(error) = errors.errors.first() else {
        return SyntaxError {
            message: "this is not an expression".to_owned(),
            range: 0..text.len(),
            help: None,
        };
    };
    let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
    let column = usize::try_from(error.pos.1).unwrap_or(1).max(1);
    let line_start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(line_start..).unwrap_or_default();
    let at = line_start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(place, _)| place);
    let seen = text.get(at..).unwrap_or_default();
    let Some(first) = seen.chars().next().filter(|_| !seen.trim().is_empty()) else {
        let end = text.trim_end().len();
        let start = text.trim_end().char_indices().next_back().map_or(0, |(place, _)| place);
        return SyntaxError {
            message: "the expression ends too early".to_owned(),
            range: start..end,
            help: None,
        };
    };
    let word = seen.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let range = at..at + word.max(first.len_utf8());
    // The parser's own words list every token that it would take, which is most of the language; what it says
    // of macros and literals is plain.
    let from_grammar =
        ["Syntax error", "mismatched", "extraneous", "no viable", "token recognition", "missing"];
    let message = if from_grammar.iter().any(|words| error.msg.contains(words)) {
        format!("{:?} does not belong here", text.get(range.clone()).unwrap_or_default())
    } else {
        params::shortened(&error.msg)
    };
    let help = match first {
        '=' => Some("== compares; nothing can be assigned"),
        '&' => Some("&& is \"and\""),
        '|' => Some("|| is \"or\""),
        _ => None,
    };
    SyntaxError { message, range, help }
}

/// Where an expression gets deeper than the parser's stack should go: brackets, conditionals and signs nest, and
/// a chain such as `1 + 1 + 1` is a tree as deep as it is long. `&&` and `||` start afresh, because the parser
/// balances them, and so do commas.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // The length of the chain at each level of brackets that is open here.
    let mut chains = vec![0_usize];
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'`');
        let starts_word =
            in_word(byte) && !place.checked_sub(1).is_some_and(|before| in_word(&bytes[before]));
        let links = match byte {
            b'(' | b'[' | b'{' => {
                chains.push(0);
                1
            }
            b'?' => CHAIN_MAX / NESTING_MAX,
            b'!' | b'-' | b'\'' | b'"' => 1,
            _ => usize::from(starts_word),
        };
        let is_inside = chains.len() > 1;
        if is_inside && matches!(byte, b')' | b']' | b'}') {
            chains.pop();
        }
        if let Some(chain) = chains.last_mut() {
            *chain = if matches!(byte, b',' | b'&' | b'|') { 0 } else { *chain + links };
        }
        if chains.len() > NESTING_MAX || chains.iter().sum::<usize>() > CHAIN_MAX {
            return Some(place);
        }
        if matches!(byte, b'\'' | b'"') {
            // What a text literal holds is no part of the tree; one that never ends is for the parser to refuse.
            place = template::end_of_literal(bytes, place).unwrap_or(place);
        }
        place += 1;
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

    /// The byte at which the token of a node starts.
    fn place(&self, id: u64) -> Option<usize> {
        let (start, _) = self.places.offset_for(id)?;
        Some(self.text.floor_char_boundary(usize::try_from(start).ok()?))
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
