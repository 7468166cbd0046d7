//! The forms: one button for each fault, its parameters beside it.

use super::buttons::{Allowed, BUTTONS, Button, Field};
use super::markup::Markup;
use crate::look::Look;

/// Fields that are shown at once; the others are a click away.
const AT_ONCE: usize = 2;

pub(super) fn show(out: &mut Markup, look: &Look) {
    out.raw("<section id=\"faults\" class=\"card\" aria-label=\"Faults\"><h2>Faults</h2>");
    for button in &BUTTONS {
        form(out, button, look);
    }
    out.raw("</section>");
}

/// Names of channels and clients, so that the script can renew the choices of the forms.
pub(super) fn names(out: &mut Markup, look: &Look) {
    out.raw("<template id=\"channels\">");
    channels(out, look);
    out.raw("</template>");
}

fn form(out: &mut Markup, button: &Button, look: &Look) {
    let name = button.what.as_str();
    out.raw("<form method=\"post\" action=\"/sim/press\" id=\"").raw(name);
    out.raw("\"><input type=\"hidden\" name=\"what\" value=\"").raw(name);
    out.raw("\"><button title=\"what: ").raw(name).raw("\">").raw(button.label);
    out.raw("</button><p>").raw(button.says).raw("</p><div class=\"fields\">");
    button.fields.iter().take(AT_ONCE).for_each(|field| input(out, field, look));
    out.raw("</div>");
    if button.fields.len() > AT_ONCE {
        out.raw("<details><summary>");
        let more: Vec<&str> = button.fields.iter().skip(AT_ONCE).map(|field| field.name).collect();
        out.text(more.join(", ")).raw("</summary><div class=\"fields\">");
        button.fields.iter().skip(AT_ONCE).for_each(|field| input(out, field, look));
        out.raw("</div></details>");
    }
    out.raw("</form>");
}

fn input(out: &mut Markup, field: &Field, look: &Look) {
    out.raw("<label title=\"").raw(field.says).raw("\"><span>").raw(field.name);
    out.raw("</span>");
    match field.allowed {
        Allowed::Sockets => {
            select(out, field, &["oldest", "newest", "all"]);
            out.raw("<optgroup label=\"of a client\">");
            clients(out, look);
            out.raw("</optgroup><optgroup label=\"one channel\" class=\"channels\">");
            channels(out, look);
            out.raw("</optgroup></select>");
        }
        Allowed::Clients => {
            select(out, field, &["all"]);
            clients(out, look);
            out.raw("</select>");
        }
        Allowed::Words(words) => {
            select(out, field, if field.filled.is_empty() { &[""] } else { &[] });
            words.iter().for_each(|word| option(out, word, word == &field.filled));
            out.raw("</select>");
        }
        Allowed::Number(least, most) => {
            let needed = if field.filled.is_empty() { "" } else { " required" };
            out.raw("<input type=\"number\"")
                .raw(needed)
                .raw(" min=\"")
                .text(least)
                .raw("\" max=\"");
            out.text(most).raw("\" name=\"").raw(field.name);
            out.raw("\" value=\"").raw(field.filled).raw("\">");
        }
        Allowed::Status => {
            out.raw("<input type=\"number\" required min=\"0\" max=\"599\" name=\"");
            out.raw(field.name).raw("\" value=\"").raw(field.filled).raw("\">");
        }
        Allowed::Line(most) | Allowed::Text(most) => {
            out.raw("<input autocomplete=\"off\" maxlength=\"").text(most);
            out.raw("\" name=\"").raw(field.name).raw("\" value=\"").raw(field.filled).raw("\">");
        }
        Allowed::Path => {
            out.raw("<input autocomplete=\"off\" pattern=\"/.*\" maxlength=\"1000\" name=\"");
            out.raw(field.name).raw("\" value=\"").raw(field.filled).raw("\">");
        }
    }
    out.raw("<small>").raw(field.says).raw("</small></label>");
}

fn select(out: &mut Markup, field: &Field, first: &[&str]) {
    out.raw("<select name=\"").raw(field.name).raw("\">");
    first.iter().for_each(|word| option(out, word, word == &field.filled));
}

fn option(out: &mut Markup, word: &str, chosen: bool) {
    out.raw("<option").raw(if chosen { " selected" } else { "" }).raw(">").text(word);
    out.raw("</option>");
}

fn clients(out: &mut Markup, look: &Look) {
    for client in &look.clients {
        option(out, &format!("client:{}", client.id), false);
    }
}

fn channels(out: &mut Markup, look: &Look) {
    for line in look.channels.iter().filter(|line| line.open_ms.is_some()) {
        option(out, &format!("channel:{}", line.number), false);
    }
}
