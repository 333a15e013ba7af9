//! What a place at a forge is worth here. Levels are numbers: new ones appear between old ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::organization::Role;

/// A person's place in an account, as the forge says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// GitHub: an owner of the organization.
    Owner,
    /// GitHub: a member.
    Member,
    /// GitHub: works on some repositories and is no member.
    Outside,
    /// GitHub: sees the bills.
    Billing,
    /// GitLab: a level of access.
    Level(u16),
    /// GitLab: a level of access in a group below the account's own.
    Below(u16),
    /// Asked to join, and has not accepted, or waits for somebody's approval.
    Invited,
}

/// Which place gives which role. What is not named gives none: nobody is made an admin by being unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleMap {
    /// GitHub's owners.
    pub owner: Option<Role>,
    /// GitHub's members.
    pub member: Option<Role>,
    /// GitHub's outside collaborators.
    pub outside: Option<Role>,
    /// GitHub's billing managers.
    pub billing: Option<Role>,
    /// GitLab's levels, each with the role of this level and those above it up to the next.
    pub levels: BTreeMap<u16, Option<Role>>,
}

impl Default for RoleMap {
    fn default() -> Self {
        let levels = [(15, Role::ReadOnly), (30, Role::Member), (50, Role::Admin)];
        Self {
            owner: Some(Role::Admin),
            member: Some(Role::Member),
            outside: None,
            billing: None,
            levels: levels.into_iter().map(|(level, role)| (level, Some(role))).collect(),
        }
    }
}

impl RoleMap {
    /// The role for a place; `None`: it gives none.
    #[must_use]
    pub fn role(&self, standing: Standing) -> Option<Role> {
        match standing {
            Standing::Owner => self.owner,
            Standing::Member => self.member,
            Standing::Outside => self.outside,
            Standing::Billing => self.billing,
            Standing::Level(level) => self.levels.range(..=level).next_back().and_then(|(_, role)| *role),
            // Whoever may make a subgroup is its owner, and so decides nothing above it.
            Standing::Below(level) => self.role(Standing::Level(level)).map(|role| role.max(Role::Member)),
            Standing::Invited => None,
        }
    }

    /// The higher of two roles.
    #[must_use]
    pub fn higher(one: Option<Role>, other: Option<Role>) -> Option<Role> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }
}

/// Who counts as a member of an organization, and as what. Kept with the organization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemberRules {
    /// Which place gives which role.
    pub roles: RoleMap,
    /// GitLab: only who is in the group itself, not who inherits or was shared in.
    pub direct_only: bool,
    /// GitLab: also who is only in a group below it, and never as an admin.
    pub subgroups: bool,
}

impl MemberRules {
    /// Whether outside collaborators have to be read.
    #[must_use]
    pub const fn wants_outside(&self) -> bool {
        self.roles.outside.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_between_two_known_ones_gives_the_role_of_the_lower() {
        let map = RoleMap::default();
        let role = |level| map.role(Standing::Level(level));
        for (levels, expected) in [
            ([0, 5, 10, 14], None),
            ([15, 20, 25, 29], Some(Role::ReadOnly)),
            ([30, 35, 40, 49], Some(Role::Member)),
            ([50, 51, 60, u16::MAX], Some(Role::Admin)),
        ] {
            for level in levels {
                assert_eq!(role(level), expected, "{level}");
            }
        }
    }

    #[test]
    fn a_place_in_a_subgroup_makes_nobody_an_admin() {
        let map = RoleMap::default();
        for (level, role) in
            [(10, None), (20, Some(Role::ReadOnly)), (30, Some(Role::Member)), (50, Some(Role::Member))]
        {
            assert_eq!(map.role(Standing::Below(level)), role, "{level}");
        }
    }

    #[test]
    fn nothing_unnamed_gives_a_role_and_an_empty_map_gives_none_at_all() {
        let map = RoleMap::default();
        for standing in [Standing::Outside, Standing::Billing, Standing::Invited] {
            assert_eq!(map.role(standing), None, "{standing:?}");
        }
        let empty =
            RoleMap { owner: None, member: None, outside: None, billing: None, levels: BTreeMap::new() };
        for standing in [Standing::Owner, Standing::Member, Standing::Level(50)] {
            assert_eq!(empty.role(standing), None, "{standing:?}");
        }
    }

    #[test]
    fn a_level_can_be_shut_out_above_one_that_is_let_in() {
        let levels = [(15, Some(Role::ReadOnly)), (20, None), (30, Some(Role::Member))].into_iter().collect();
        let map = RoleMap { levels, ..RoleMap::default() };
        assert_eq!(map.role(Standing::Level(19)), Some(Role::ReadOnly));
        assert_eq!(map.role(Standing::Level(25)), None);
        assert_eq!(map.role(Standing::Level(50)), Some(Role::Member));
    }

    #[test]
    fn the_higher_role_wins() {
        use Role::{Admin, Member, ReadOnly};
        assert_eq!(RoleMap::higher(Some(Member), Some(Admin)), Some(Admin));
        assert_eq!(RoleMap::higher(Some(ReadOnly), Some(Member)), Some(Member));
        assert_eq!(RoleMap::higher(None, Some(ReadOnly)), Some(ReadOnly));
        assert_eq!(RoleMap::higher(None, None), None);
    }
}
