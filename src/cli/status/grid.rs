//! A table that fits: what is too long loses its middle, and columns that matter least go before a row is torn.

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use super::words::shortened;

/// What one cell says, and how it goes.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) colour: Option<Color>,
}

impl<T: Into<String>> From<T> for Said {
    fn from(text: T) -> Self {
        Self { text: text.into(), colour: None }
    }
}

impl Said {
    pub(super) fn in_colour(text: impl Into<String>, colour: Color) -> Self {
        Self { text: text.into(), colour: Some(colour) }
    }
}

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// The least width to which it is shortened, where it may be.
    pub(super) least: Option<usize>,
    /// Those with the highest number go first; those with 0 stay.
    pub(super) goes: u8,
}

/// Between two columns.
const GAP: usize = 2;

/// The table, in at most `width` characters a row if that can be had at all.
pub(super) fn grid(columns: &[Column], rows: &[Vec<Said>], width: Option<usize>, fancy: bool) -> String {
    let length = |text: &str| text.chars().count();
    let natural = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place)).map(|cell| length(&cell.text));
        cells.chain(columns.get(place).map(|column| length(column.name))).max().unwrap_or(0)
    };
    // Places of the columns that are shown, and their widths.
    let mut shown: Vec<(usize, usize)> = (0..columns.len()).map(|place| (place, natural(place))).collect();
    if let Some(width) = width {
        let least = |place: usize, own: usize| {
            columns.get(place).and_then(|column| column.least).map_or(own, |least| least.min(own))
        };
        let total = |shown: &[(usize, usize)]| -> usize {
            shown.iter().map(|(place, own)| least(*place, *own) + GAP).sum::<usize>().saturating_sub(GAP)
        };
        while total(&shown) > width {
            let goes = |(place, _): &(usize, usize)| columns.get(*place).map_or(0, |column| column.goes);
            let Some(last) = shown.iter().map(goes).max().filter(|goes| *goes > 0) else { break };
            shown.retain(|one| goes(one) != last);
        }
        let mut over = shown.iter().map(|(_, own)| own + GAP).sum::<usize>().saturating_sub(GAP + width);
        // The widest gives first.
        while over > 0 {
            let can = |(place, own): &&mut (usize, usize)| *own > least(*place, *own);
            let widest = shown.iter_mut().filter(can).max_by_key(|(_, own)| *own);
            let Some((_, own)) = widest else { break };
            *own -= 1;
            over -= 1;
        }
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if fancy {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table.set_header(shown.iter().filter_map(|(place, _)| columns.get(*place)).map(|column| column.name));
    for row in rows {
        let cells = shown.iter().filter_map(|(place, own)| Some((row.get(*place)?, *own)));
        table.add_row(cells.map(|(said, own)| {
            let cell = Cell::new(shortened(&said.text, own));
            match said.colour.filter(|_| fancy) {
                Some(colour) => cell.fg(colour),
                None => cell,
            }
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}
