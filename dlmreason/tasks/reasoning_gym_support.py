"""Which generators of reasoning-gym 0.1.25 can be asked here, how each is judged, and why others cannot.

This file is a table and decides nothing else. All 106 generators were read, and run at their defaults: right answers
score 1, the items are the same in every process, and scorers neither run nor hang on a hostile text. Where a second
computation of the answers was easy it was made, over 200 items each; what came out wrong is named below.

The library's scorers are used only where they neither evaluate an answer nor give 1 to a wrong one. Else the text is
compared, which is sound where a question has one right answer and one way to write it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

LIBRARY = "0.1.25"


@dataclass(frozen=True)
class Support:
    """How a generator is judged: by "text", by its "scorer", or by being one of the answers that it has "listed"."""

    judge: str
    note: str = ""
    keeps: tuple[str, ...] = ()  # of an item's metadata, what the scorer reads
    shape: re.Pattern[str] | None = None  # of an answer that the scorer may see


TEXT = [
    "ab",
    "acre",
    "aiw",
    "arc_1d",
    "base_conversion",
    "basic_arithmetic",
    "bf",
    "binary_alternation",
    "caesar_cipher",
    "circuit_logic",
    "color_cube_rotation",
    "count_bits",
    "count_primes",
    "course_schedule",
    "emoji_mystery",
    "family_relationships",
    "gcd",
    "largest_island",
    "lcm",
    "leg_counting",
    "letter_counting",
    "maze",
    "modulo_grid",
    "number_filtering",
    "number_sequence",
    "rotate_matrix",
    "rotten_oranges",
    "self_reference",
    "simple_equations",
    "simple_geometry",
    "string_manipulation",
    "string_splitting",
    "string_synthesis",
    "word_sequence_reversal",
]
"""Of these the scorer, too, compares texts."""

INSTEAD = {
    "binary_matrix": "evaluates the answer",
    "bitwise_arithmetic": "evaluates the question",
    "coin_flip": "takes what is wrong by .0001, and hangs on 1e999999999",
    "complex_arithmetic": "takes nan",
    "figlet_font": "takes ten right letters of a longer word",
    "game_of_life": "takes further rows",
    "game_of_life_halting": "takes any text where True is right",
    "gsm_symbolic": "takes the wrong sign",
    "knights_knaves": "takes two roles for one person",
    "letter_jumble": "takes further words",
    "number_format": "takes what is wrong by .01",
    "number_sorting": "takes numbers that are wrong by 1",
    "pool_matrix": "takes what is wrong by 1 %",
    "rearc": "compares tuples, which no file can hold",
    "sentence_reordering": "is blind to upper and lower case",
    "spell_backward": "is blind to upper and lower case",
    "spiral_matrix": "evaluates the answer",
    "string_insertion": "evaluates the answer",
}
"""By text, since the scorer does this."""

ASSUMED = ["arc_1d", "letter_jumble", "modulo_grid", "number_sequence", "rearc", "sentence_reordering"]
"""Of these another answer may be as good; the library's is taken for the only one."""

SCORED: dict[str, tuple[str, ...]] = {
    "advanced_geometry": ("task_type", "ortho", "incircle_radius_exact"),
    "calendar_arithmetic": ("task",),
    "chain_sum": (),
    "cryptarithm": ("words_letters", "result_letters", "allow_leading_zero"),
    "decimal_chain_sum": (),
    "dice": (),
    "fraction_simplification": ("simplified_numerator", "simplified_denominator", "numerator", "denominator"),
    "futoshiki": ("solution",),
    "group_anagrams": ("solution",),
    "jugs": ("puzzle",),
    "kakurasu": ("row_sums", "col_sums", "n_rows", "n_cols"),
    "manipulate_matrix": (),
    "mini_sudoku": ("solution",),
    "needle_haystack": (),
    "palindrome_generation": ("letters",),
    "palindrome_partitioning": ("solution",),
    "path_star": (),
    "polynomial_equations": (),
    "power_function": (),
    "prime_factorization": (),
    "products": (),
    "quantum_lock": ("target_value", "buttons", "initial_state", "initial_value"),
    "rectangle_count": (),
    "shortest_path": ("matrix",),
    "sokoban": ("gamestr",),
    "sudoku": ("solution",),
    "time_intervals": ("task_type",),
    "tower_of_hanoi": ("num_disks", "num_pegs", "start_peg", "target_peg", "solution_length"),
    "word_sorting": ("sorted_words",),
    "zebra_puzzles": (),
}
"""By the scorer, and what it reads of an item's metadata."""

SHAPES = {
    "advanced_geometry": re.compile(r"-?[0-9.]+°?|\(-?[0-9.]+, *-?[0-9.]+\)"),
    "fraction_simplification": re.compile(r"(\$?)(\\d?frac\{[0-9]+\}\{[0-9]+\}|[0-9]+ */ *[0-9]+)\1"),
    "kakurasu": re.compile(r"[01]( [01])*( *\n[01]( [01])*)*"),
    "polynomial_equations": re.compile(r"-?[0-9.]+( *, *-?[0-9.]+)*"),
    "quantum_lock": re.compile(r"[ABC]( *→ *[ABC])*"),
    "sokoban": re.compile(r"[UDLR]+"),
    "time_intervals": re.compile(r"[0-9]+ days(, [0-9]+(:[0-9]{2}){1,2})?|[0-9]+(:[0-9]{2}){1,2}(\.[0-9]{3})?"),
}
"""Of scorers that pass over what they cannot read."""

UNSUPPORTED = {
    "arc_agi": "its 800 tasks are drawn again and again, so that a task would be in several splits",
    "boxnet": "it gives no answer",
    "codeio": "it runs code out of a data file, and its items differ from process to process",
    "composite": "it mixes other generators; ask each of them",
    "countdown": "its scorer evaluates the answer, and many answers are right: use task=countdown4",
    "decimal_arithmetic": "8 % of its answers are wrong in the last digit, for they are rounded along the way",
    "graph_color": "it gives no answer: use task=colouring",
    "intermediate_integration": "its scorer evaluates the answer, and an integral can be written in many ways",
    "isomorphic_strings": "its items differ from process to process",
    "knight_swap": "its items differ from process to process",
    "list_functions": "its items differ from process to process",
    "mahjong_puzzle": "15 % of its answers are wrong: it takes a random card for one that makes no set",
    "polynomial_multiplication": "its scorer evaluates the answer, and a polynomial can be written in many ways",
    "propositional_logic": "it gives no answer, and its scorer exceeds the stack on nested parentheses",
    "puzzle24": "its scorer evaluates the answer, and many answers are right: use task=game24",
    "ransom_note": "its items differ from process to process",
    "rubiks_cube": "it gives no answer, and its scorer takes a minute over R99999999",
    "rush_hour": "it gives no answer, and its scorer hangs on A+999999999999",
    "simple_integration": "its scorer evaluates the answer, and an integral can be written in many ways",
    "survo": "1 % of its puzzles have several solutions, of which its scorer takes one",
    "syllogism": "12 % of its answers are wrong: it misses that the middle term is not distributed",
    "tsumego": "23 % of its answers are wrong: they capture nothing, or not the most",
    "word_ladder": "its items differ from process to process",
}

Item = Mapping[str, Any]

LEFT_OUT: dict[str, tuple[str, Callable[[Item], bool]]] = {
    "aiw": ("colleagues: one circle is not counted", lambda item: item["metadata"]["task_type"] == "colleagues"),
    "basic_arithmetic": (
        "divisions: some of them are rounded without a word",
        lambda item: "/" in item["metadata"]["expression"],
    ),
    "color_cube_rotation": (
        "turns of the bottom to the top, which can be done in two ways",
        lambda item: "bottom" in item["metadata"]["rotations"],
    ),
    "family_relationships": (
        "in-laws, nieces and nephews: the answer is the other person's relation",
        lambda item: "in-law" in item["answer"] or item["answer"] in ("niece", "nephew"),
    ),
    "number_filtering": (
        "lists with a number in two spellings, of which the answer keeps one",
        lambda item: _respelled(item["metadata"]["original_numbers"]),
    ),
    "simple_geometry": (
        "polygons that are not convex, as the question says that they are",
        lambda item: max(map(float, [*item["metadata"]["known_angles"], item["answer"]])) >= 180,
    ),
    "time_intervals": ("negative times, over midnight", lambda item: item["answer"].startswith("-")),
}
"""Items whose answers are wrong, or whose questions are, in words and in code."""


def _respelled(numbers: list[str]) -> bool:
    return len(set(map(float, numbers))) < len(set(numbers))


SUPPORTED = {
    **{name: Support("text") for name in TEXT},
    **{name: Support("text", f"its scorer {what}") for name, what in INSTEAD.items()},
    "n_queens": Support("listed", "its scorer evaluates the answer", ("valid_answers",)),
    **{name: Support("scorer", "", keeps, SHAPES.get(name)) for name, keeps in SCORED.items()},
}


def supported() -> Mapping[str, str]:
    """Every generator that can be asked, by name, and how an answer is judged."""
    words = {
        "text": "right is the library's answer, as a text",
        "listed": "right are the answers that the library lists",
        "scorer": "right is what the library's scorer gives 1",
    }
    said = {}
    for name, support in sorted(SUPPORTED.items()):
        parts = [words[support.judge], support.note]
        parts += ["another answer may be as good"] if name in ASSUMED else []
        parts += [f"left out are {LEFT_OUT[name][0]}"] if name in LEFT_OUT else []
        said[name] = "; ".join(filter(None, parts))
    return said


def unsupported() -> Mapping[str, str]:
    """Every generator of the library that cannot be asked, by name, and why."""
    return dict(sorted(UNSUPPORTED.items()))
