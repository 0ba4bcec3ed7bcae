//! The page.

use std::fmt::Write;

const STYLE: &str = include_str!("report.css");

/// A report under construction.
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    lead: String,
    command: String,
    sections: Vec<Section>,
}

/// A headed part of a report.
#[derive(Clone, Debug)]
pub struct Section {
    heading: String,
    body: String,
}

/// A table of cells. Cells after the first of a row are set as numbers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Report {
    /// A report with a title, one or two sentences of lead, and the command that made it.
    pub fn new(title: impl Into<String>, lead: impl Into<String>, command: impl Into<String>) -> Self {
        Self { title: title.into(), lead: lead.into(), command: command.into(), sections: Vec::new() }
    }

    /// Begins a section.
    pub fn section(&mut self, heading: impl Into<String>) -> &mut Section {
        self.sections.push(Section { heading: heading.into(), body: String::new() });
        self.sections.last_mut().expect("a section was just pushed")
    }

    /// Takes over another report's sections under this one.
    pub fn append(&mut self, other: Self) {
        let opening = self.section(other.title);
        opening.text(&other.lead).command(&other.command);
        self.sections.extend(other.sections);
    }

    /// The whole page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut body = format!("<header><h1>{title}</h1><p class=\"lead\">{}</p>", escape(&self.lead));
        let _ = write!(body, "<pre class=\"command\">{}</pre></header>", escape(&self.command));
        for section in &self.sections {
            let _ = write!(body, "<section><h2>{}</h2>{}</section>", escape(&section.heading), section.body);
        }
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title><style>{STYLE}</style></head>\
             <body><main>{body}<footer>Made by dozen. Nothing on this page comes from elsewhere.</footer></main></body></html>\n"
        )
    }
}

impl Section {
    /// A paragraph.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let _ = write!(self.body, "<p>{}</p>", escape(text));
        self
    }

    /// A command line.
    pub fn command(&mut self, command: &str) -> &mut Self {
        let _ = write!(self.body, "<pre class=\"command\">{}</pre>", escape(command));
        self
    }

    /// A plot with its caption.
    pub fn plot(&mut self, svg: String, caption: &str) -> &mut Self {
        let _ = write!(self.body, "<figure>{svg}<figcaption>{}</figcaption></figure>", escape(caption));
        self
    }

    /// Several plots side by side, where there is room.
    pub fn plots(&mut self, plots: impl IntoIterator<Item = (String, String)>) -> &mut Self {
        self.body.push_str("<div class=\"side-by-side\">");
        for (svg, caption) in plots {
            self.plot(svg, &caption);
        }
        self.body.push_str("</div>");
        self
    }

    /// A table.
    pub fn table(&mut self, table: Table) -> &mut Self {
        let row = |cells: &[String], tag: &str| {
            let cells: String = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell))).collect();
            format!("<tr>{cells}</tr>")
        };
        let rows: String = table.rows.iter().map(|cells| row(cells, "td")).collect();
        let head = row(&table.head, "th");
        let _ = write!(
            self.body,
            "<div class=\"scroll\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
        );
        self
    }
}

impl Table {
    /// A table with these column heads.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    #[must_use]
    pub fn row<S: Into<String>>(mut self, cells: impl IntoIterator<Item = S>) -> Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }
}

/// Text made safe for HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_and_nothing_is_fetched() {
        let mut report = Report::new("<b>", "a & b", "dozen x --given \"a=1\"");
        report.section("s").text("<script>").table(Table::new(["<th>"]).row(["<td>"]));
        let html = report.html();
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("src="));
    }
}
