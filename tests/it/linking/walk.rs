//! A browser of the tests: it keeps cookies, follows nothing by itself, and presses buttons.

use std::collections::HashMap;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use url::Url;

use crate::forge::Names;

/// What is shown.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) url: Url,
    pub(super) text: String,
    pub(super) location: Option<Url>,
}

/// A form with its button.
#[derive(Debug, Clone)]
pub(super) struct Form {
    action: Url,
    fields: Vec<(String, String)>,
    button: String,
}

/// A browser with its cookies, by host and port.
#[derive(Debug, Clone, Default)]
pub(super) struct Browser {
    cookies: HashMap<String, String>,
    way: Way,
}

/// How a browser gets to a forge: straight, or through a proxy to one that has the names.
#[derive(Debug, Clone, Default)]
pub(super) struct Way(Option<(Url, Vec<u8>)>);

impl Way {
    pub(super) fn to(names: &Names) -> Self {
        Self(Some((names.proxy().clone(), std::fs::read(names.authority()).unwrap())))
    }
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

/// The value of an attribute.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| unescape(value))
}

impl Page {
    /// The forms of the page. A field that has to be filled in holds what is shown.
    fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for text in self.text.split("<form ").skip(1) {
            let text = format!(" {}", text.split("</form>").next().unwrap());
            let action = self.url.join(&attribute(&text, "action").unwrap()).unwrap();
            let mut fields = Vec::new();
            for tag in text.split('<').filter(|tag| tag.starts_with("input ")) {
                let chosen = tag.contains(" checked")
                    || !tag.contains("type=\"radio\"") && !tag.contains("type=\"checkbox\"");
                if let (Some(name), true) = (attribute(tag, "name"), chosen) {
                    fields.push((name, attribute(tag, "value").unwrap_or_default()));
                }
            }
            if let Some((_, rest)) = text.split_once("<select ") {
                let name = attribute(&format!(" {rest}"), "name").unwrap();
                let chosen =
                    rest.split("<option ").skip(1).find(|option| option.contains(" selected")).unwrap();
                fields.push((name, attribute(&format!(" {chosen}"), "value").unwrap()));
            }
            let button =
                text.split("<button").nth(1).and_then(|rest| rest.split_once('>')).map(|(_, rest)| rest);
            let button = unescape(button.unwrap_or_default().split('<').next().unwrap_or_default());
            forms.push(Form { action, fields, button });
        }
        forms
    }

    /// The form with this button.
    pub(super) fn form(&self, button: &str) -> Form {
        let forms = self.forms();
        let found = forms.iter().find(|form| form.button == button).cloned();
        found.unwrap_or_else(|| panic!("no button {button:?} at {}: {}", self.url, self.text))
    }
}

impl Form {
    /// With this in a field.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sent to another path of the same place.
    pub(super) fn at_path(mut self, path: &str) -> Self {
        self.action.set_path(path);
        self
    }

    /// What a field holds.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }
}

impl Browser {
    fn client(&self) -> reqwest::Client {
        let mut builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        if let Way(Some((proxy, authority))) = &self.way {
            let authority = reqwest::Certificate::from_pem(authority).unwrap();
            builder =
                builder.proxy(reqwest::Proxy::https(proxy.clone()).unwrap()).add_root_certificate(authority);
        }
        builder.build().unwrap()
    }

    async fn send(&mut self, request: reqwest::RequestBuilder, url: &Url) -> Page {
        let place = format!("{}:{}", url.host_str().unwrap(), url.port_or_known_default().unwrap());
        let request = match self.cookies.get(&place) {
            Some(cookie) => request.header(COOKIE, cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        if let Some(set) = answer.headers().get(SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
            if pair.ends_with('=') {
                self.cookies.remove(&place);
            } else {
                self.cookies.insert(place, pair);
            }
        }
        let location = answer.headers().get(LOCATION).map(|to| url.join(to.to_str().unwrap()).unwrap());
        let status = answer.status().as_u16();
        Page { status, url: url.clone(), text: answer.text().await.unwrap(), location }
    }

    /// Opens an address, and goes no further.
    pub(super) async fn open(&mut self, url: &str) -> Page {
        let url = Url::parse(url).unwrap();
        self.send(self.client().get(url.clone()), &url).await
    }

    /// Goes where a page sends to, until something is shown.
    pub(super) async fn follow(&mut self, mut page: Page) -> Page {
        while let Some(location) = page.location.take() {
            page = self.open(location.as_str()).await;
        }
        page
    }

    /// Presses a button, and goes no further.
    pub(super) async fn press(&mut self, form: Form) -> Page {
        let origin = form.action.origin().ascii_serialization();
        self.press_from(form, &origin).await
    }

    /// The same, on a page of another origin.
    pub(super) async fn press_from(&mut self, form: Form, origin: &str) -> Page {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form.fields.iter());
        let request = self
            .client()
            .post(form.action.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(body.finish());
        self.send(request, &form.action).await
    }

    /// Presses a button, and goes where it leads.
    pub(super) async fn press_on(&mut self, form: Form) -> Page {
        let page = self.press(form).await;
        self.follow(page).await
    }

    /// From the link to the form.
    pub(super) async fn begin(&mut self, link: &str) -> Page {
        let landing = self.open(link).await;
        assert_eq!(landing.status, 200, "{}", landing.text);
        self.press_on(landing.form("Begin")).await
    }

    /// A new one, from the link to the form.
    pub(super) async fn at(link: &str) -> (Self, Page) {
        Self::on_way(Way::default(), link).await
    }

    /// The same, with this way to the forge.
    pub(super) async fn on_way(way: Way, link: &str) -> (Self, Page) {
        let mut browser = Self { way, ..Self::default() };
        let form = browser.begin(link).await;
        (browser, form)
    }

    /// From the form to what the App will ask for: the account is an organization.
    pub(super) async fn review(&mut self, form: &Page, login: &str) -> Page {
        self.press_on(form.form("Review permissions").with("login", login)).await
    }

    /// From there to the App's page of installation.
    pub(super) async fn agree(&mut self, review: &Page) -> Page {
        let confirm = self.press_on(review.form("Create GitHub App")).await;
        self.press_on(confirm.form("Create it")).await
    }

    /// From the form to the App's page of installation.
    pub(super) async fn create(&mut self, form: &Page, login: &str) -> Page {
        let review = self.review(form, login).await;
        self.agree(&review).await
    }

    /// From there to the page where the forge asks who signs in.
    pub(super) async fn install(&mut self, page: &Page, login: &str) -> Page {
        let choose = self.press_on(page.form("Install")).await;
        self.press_on(choose.form(&format!("Install on {login}"))).await
    }

    /// From there to the end: whoever signs in has proven that the account is theirs.
    pub(super) async fn finish(&mut self, sign_in: &Page) -> Page {
        let done = self.press_on(sign_in.form("Authorize")).await;
        assert_eq!(done.status, 200, "{}", done.text);
        done
    }

    /// The session's cookie is taken from another browser.
    pub(super) fn steals(&mut self, other: &Self) {
        self.cookies.clone_from(&other.cookies);
    }

    pub(super) fn has_session(&self) -> bool {
        self.cookies.values().any(|cookie| cookie.starts_with("__Host-"))
    }
}
