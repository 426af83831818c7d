//! Text made safe for markup.

/// Escapes text for an element's content or a quoted attribute.
///
/// Control characters, which no HTML document may hold, become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Markup for each item, one after another.
pub fn each<T>(items: impl IntoIterator<Item = T>, markup: impl FnMut(T) -> String) -> String {
    items.into_iter().map(markup).collect()
}

/// A small sign for a state, drawn from the symbols of [`SYMBOLS`]; `label` is what it says to those who cannot see it.
pub fn mark(symbol: &str, label: &str) -> String {
    format!(
        r##"<svg class="mark {symbol}" viewBox="0 0 16 16" role="img"><title>{}</title><use href="#{symbol}"/></svg>"##,
        escape(label)
    )
}

/// The signs: told apart by shape as well as by colour. Included once, at the top of the page.
pub const SYMBOLS: &str = r#"<svg class="symbols" width="0" height="0" aria-hidden="true">
<symbol id="yes" viewBox="0 0 16 16"><circle class="disc" cx="8" cy="8" r="7"/><path class="sign" d="M4.9 8.3 7.1 10.5 11.2 5.9"/></symbol>
<symbol id="no" viewBox="0 0 16 16"><rect class="disc" x="1.25" y="1.25" width="13.5" height="13.5" rx="3"/><path class="sign" d="M5.3 5.3 10.7 10.7M10.7 5.3 5.3 10.7"/></symbol>
<symbol id="idle" viewBox="0 0 16 16"><circle class="ring" cx="8" cy="8" r="6"/><path class="bar" d="M5.5 8h5"/></symbol>
<symbol id="busy" viewBox="0 0 16 16"><circle class="ring" cx="8" cy="8" r="6"/><circle class="core" cx="8" cy="8" r="2.6"/></symbol>
</svg>"#;
