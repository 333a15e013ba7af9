"""Turns planted faults into switches: one build holds many, and a number in the environment says which one is on.

A replacement inside a function becomes `if planted(7) { the body with the fault } else { the body }`; one in a private
constant makes a function of the constant. What stands elsewhere (an attribute, a public constant, a file that is no
Rust) cannot be switched, and is planted by itself.
"""
import re

VARIABLE = "SCM_CONNECT_PLANTED"
ASKED = f"""
/// Whether the fault of this number is on.
#[must_use]
pub fn planted(number: u32) -> bool {{
    static ON: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("{VARIABLE}").ok().and_then(|text| text.parse().ok())) == Some(number)
}}
"""
QUIET = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]*?|[^'\\\n])'""", re.S
)
FUNCTION = re.compile(r"\bfn\s+\w+")
CONSTANT = re.compile(r"^[ ]*const ([A-Z][A-Z0-9_]*): ([^=;]+?) = ", re.M)


def code(text):
    """The text with comments and literals blanked, as long as before."""
    return QUIET.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def closing(bare, start):
    """Behind the bracket that closes the one at `start`."""
    depth = 0
    for at in range(start, len(bare)):
        depth += (bare[at] in "{([") - (bare[at] in "})]")
        if depth == 0:
            return at + 1
    return len(bare)


def bodies(bare):
    """Where each function begins, and from where to where its body goes."""
    for found in FUNCTION.finditer(bare):
        at = found.end()
        while at < len(bare) and bare[at] not in "{;":
            at = closing(bare, at) if bare[at] in "([" else at + 1
        if at < len(bare) and bare[at] == "{" and "-> impl" not in bare[found.start():at]:
            yield found.start(), at, closing(bare, at)


def inner(kind, value):
    """A block with a constant's value; a constant again, so that it may be a reference to something that never ends."""
    return f"{{ const VALUE: {kind} = {value} VALUE }}"


class File:
    """One file and the faults that are switched in it."""

    def __init__(self, text, ask):
        self.text, self.ask = text, ask
        self.bare = code(text)
        self.bodies = list(bodies(self.bare))
        self.places = {}  # where a body or constant stands → its variants by number

    def around(self, patch):
        """The innermost body, or the constant, that holds all of a replacement."""
        start = self.text.index(patch["from"])
        end = start + len(patch["from"])
        inside = [(begin, close) for _, begin, close in self.bodies if begin < start and end < close]
        if inside:
            return max(inside)
        for found in CONSTANT.finditer(self.bare):
            close = self.bare.index(";", found.end()) + 1
            if found.start() <= start and end <= close and self.is_switchable(found):
                return found.start(), close
        return None

    def is_constant(self, place, patch):
        """Whether what a constant becomes is still the one constant; of a function's body nothing is asked."""
        if not CONSTANT.match(self.bare, place[0]):
            return True
        variant = self.text[place[0]:place[1]].replace(patch["from"], patch["to"])
        return code(variant).count(";") == 1 and bool(CONSTANT.match(variant))

    def is_switchable(self, constant):
        """Whether a constant is used in function bodies only."""
        uses = [use.start() for use in re.finditer(rf"\b{constant[1]}\b", self.bare) if use.start() != constant.start(1)]
        return all(any(begin < use < close for _, begin, close in self.bodies) for use in uses)

    def has_room(self, patches):
        """Whether each replacement has a place that no other one cuts."""
        places = [self.around(patch) for patch in patches]
        if None in places:
            return False
        if any(not self.is_constant(place, patch) for place, patch in zip(places, patches)):
            return False
        others = [*self.places, *places]
        return not any(one != other and one[0] < other[1] and other[0] < one[1] for one in places for other in others)

    def take(self, number, patches):
        """Adds a row's replacements."""
        for patch in patches:
            place = self.around(patch)
            variants = self.places.setdefault(place, {})
            before = variants.get(number, self.text[place[0]:place[1]])
            variants[number] = before.replace(patch["from"], patch["to"])

    def written(self):
        """The text with its switches, and the lines of each variant: (first, last, number)."""
        text, lines, at, constants = "", [], 0, []
        for (start, end), variants in sorted(self.places.items()):
            text += self.text[at:start]
            whole = self.text[start:end]
            constant = CONSTANT.match(self.bare, start)
            if constant:
                constants.append(constant[1])
                kind = re.sub(r"&(?!')", "&'static ", constant[2])
                head = f"fn {constant[1]}() -> {kind} {{ "
                cut = constant.end() - start
                variants = {number: inner(kind, variant[cut:]) for number, variant in variants.items()}
                whole = inner(kind, whole[cut:])
            else:
                head = "{ "
                text = re.sub(r"\bconst ((?:unsafe )?fn\s+\w+[^{};]*)$", r"\1", text)
            text += head
            for number, variant in variants.items():
                first = text.count("\n") + 1
                text += f"if {self.ask}({number}) {variant} else "
                lines.append((first, text.count("\n") + 1, number))
            text += whole + " }"
            at = end
        text += self.text[at:]
        for name in constants:
            uses = [use for use in re.finditer(rf"\b{name}\b", code(text)) if not text[:use.start()].endswith("fn ")]
            for use in reversed(uses):
                text = f"{text[:use.end()]}(){text[use.end():]}"
        return text, lines


def switched(rows, read):
    """Files with switches for all rows (by number) that can have one: the files' texts, the lines of each number in
    them, and those rows. `read` gives a file's text."""
    files, able = {}, {}
    for number, row in rows.items():
        by_file = {}
        for patch in row.get("patch", []):
            by_file.setdefault(patch["file"], []).append(patch)
        is_rust = all(name.endswith(".rs") and name.startswith(("src/", "tests/it/")) for name in by_file)
        if "env" in row or not row.get("switch", True) or not is_rust:
            continue
        for name in by_file:
            files.setdefault(name, File(read(name), "crate::planted" if name.startswith("src/") else "scm_connect::planted"))
        if all(files[name].has_room(patches) for name, patches in by_file.items()):
            able[number] = row
            for name, patches in by_file.items():
                files[name].take(number, patches)
    written = {name: file.written() for name, file in files.items() if file.places}
    texts = {name: text for name, (text, _) in written.items()}
    texts["src/lib.rs"] = texts.get("src/lib.rs", read("src/lib.rs")) + ASKED
    return texts, {name: lines for name, (_, lines) in written.items()}, able


def blamed(errors, lines):
    """The numbers whose variants hold what the compiler refuses, with its words; where it refuses what is outside of all
    variants, all numbers of those files."""
    exact, near = {}, {}
    for (file, line), words in errors.items():
        for first, last, number in lines.get(file, []):
            near.setdefault(number, words)
            if first <= line <= last:
                exact.setdefault(number, words)
    return exact or near
