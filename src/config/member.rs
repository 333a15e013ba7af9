//! Who counts as a member of an organization, and as what: `members = { … }` of an organization.

use super::keys;
use super::reader::Reader;
use super::value::quoted;
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
    Some(MemberRules { roles: RoleMap { owner, member, outside, billing, levels }, direct_only })
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
