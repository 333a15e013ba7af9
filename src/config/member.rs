//! Who counts as a member of an organization, and as what: `members = { … }` of an organization; and who is an admin of it
//! whatever the forges say: `break_glass = { … }`.

use url::Url;

use super::keys;
use super::reader::Reader;
use super::value::{account, quoted};
use crate::domain::Host;
use crate::domain::break_glass::BreakGlass;
use crate::domain::organization::Role;
use crate::domain::roster::{MemberRules, RoleMap};

const ROLES: &str = "\"admin\", \"member\", \"read_only\" or \"none\"";
const LEVELS: &str = "levels with their roles, such as \"30 = member\"";

fn role(text: &str) -> Result<Option<Role>, String> {
    match text {
        "admin" => Ok(Some(Role::Admin)),
        "member" => Ok(Some(Role::Member)),
        "read_only" => Ok(Some(Role::ReadOnly)),
        "none" => Ok(None),
        other => Err(format!("{} is no role", quoted(other))),
    }
}

fn level(text: &str) -> Result<(u16, Option<Role>), String> {
    let wrong = || format!("{} is no level with its role", quoted(text));
    let (number, name) = text.split_once('=').ok_or_else(wrong)?;
    Ok((number.trim().parse().map_err(|_| wrong())?, role(name.trim())?))
}

/// The rules, where the file says any; what it leaves open is as documented.
pub(super) fn rules(table: &mut Reader<'_>) -> Option<MemberRules> {
    let mut table = table.table("members", keys::MEMBERS)?;
    let documented = RoleMap::default();
    let owner = table.parsed("owner", ROLES, role).unwrap_or(documented.owner);
    let member = table.parsed("member", ROLES, role).unwrap_or(documented.member);
    let outside = table.parsed("outside", ROLES, role).unwrap_or(documented.outside);
    let billing = table.parsed("billing", ROLES, role).unwrap_or(documented.billing);
    let has_levels = table.has("levels");
    let levels = table.list("levels", LEVELS, level).into_iter().collect();
    let levels = if has_levels { levels } else { documented.levels };
    let direct_only = table.switch("direct_only").unwrap_or_default();
    let subgroups = table.switch("subgroups").unwrap_or_default();
    let roles = RoleMap { owner, member, outside, billing, levels };
    Some(MemberRules { roles, direct_only, subgroups })
}

fn host(text: &str) -> Result<Host, String> {
    let wrong = || format!("{} is no host of a forge", quoted(text));
    let url = Url::parse(&format!("https://{text}")).map_err(|_| wrong())?;
    let plain = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
    Host::of(&url).ok().filter(|_| plain && !text.contains("://")).ok_or_else(wrong)
}

/// The admin whom the file names: an account of the operator's own, or with host and number a person of a forge. A name
/// alone says nothing of who it is there (S24).
pub(super) fn break_glass(table: &mut Reader<'_>) -> Option<BreakGlass> {
    let mut table = table.table("break_glass", keys::BREAK_GLASS)?;
    let login = table.needed("login", "a name", account);
    if !table.has("host") && !table.has("external_id") {
        return login.map(|login| BreakGlass::local(&login));
    }
    let host = table.needed("host", "the forge's host, such as github.com", host);
    if !table.has("external_id") {
        table.missing("external_id", "the person's number at the forge");
    }
    let external_id = table.number("external_id", 1, u64::MAX >> 1);
    Some(BreakGlass { login: login?, host: host?, external_id: external_id? })
}

/// A role as the file spells it.
pub(super) const fn spelled(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Admin) => "admin",
        Some(Role::Member) => "member",
        Some(Role::ReadOnly) => "read_only",
        None => "none",
    }
}
