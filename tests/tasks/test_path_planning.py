import itertools
import random
from collections import Counter
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from dlmreason.tasks.example import PuzzleError, Verdict
from dlmreason.tasks.path_planning import PathPlanning
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

STANDARD, SMALL = PathPlanning(), PathPlanning(nodes=5, edges=8, length=3)
SUBJECTS = [STANDARD, SMALL]
OTHERS = [
    PathPlanning(nodes=20, edges=40, length=6),
    PathPlanning(nodes=12, edges=20, length=5),
    PathPlanning(nodes=4, edges=4, length=4),
    PathPlanning(nodes=6, edges=12, length=2),
]

EXAMPLE = "3>5 1>3 5>4 3>2 2>4 4>1 3 4"


def named(subjects):
    return pytest.mark.parametrize("subject", subjects, ids=lambda subject: subject.name)


def read(prompt):
    """The directed graph of a prompt, its start and its goal."""
    *edges, start, goal = prompt.split(" ")
    return nx.DiGraph([tuple(edge.split(">")) for edge in edges]), start, goal


def right_answers(prompt):
    return [" ".join(path) for path in nx.all_shortest_paths(*read(prompt))]


def thought_is_true(problem):
    graph, start, goal = read(problem.prompt)
    *layers, path = [part.split(" ") for part in problem.thought.split(" | ")]
    away = nx.single_source_shortest_path_length(graph.reverse(), goal)
    right = [sorted((node for node in away if away[node] == steps), key=int) for steps in range(away[start] + 1)]
    nearer = [
        node for node, steps in nx.single_source_shortest_path_length(graph, start).items() if steps < away[start]
    ]
    return layers == right and " ".join(path) == problem.answer and problem.difficulty == len(nearer) - 1


@pytest.mark.parametrize("count", laws.GOLD)
@named(SUBJECTS)
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, thought_is_true)


@named(SUBJECTS)
def test_what_is_wanted_are_the_wanted_ones_of_all(subject):
    def odd(prompts):
        return np.array([key % 4 == 1 for key in subject.keys(prompts)], np.bool_)

    every, some = subject.draw(3, 200), subject.draw_wanted(3, 200, odd)
    share = [problem for problem, one in zip(every, odd([each.prompt for each in every]), strict=True) if one]
    assert 0 < len(share) < 200 == len(some) and some[: len(share)] == share
    assert odd([problem.prompt for problem in some]).all()
    assert subject.draw_wanted(3, 10, lambda prompts: np.zeros(len(prompts), np.bool_)) == []
    assert subject.keys([]) == []


@named(OTHERS)
def test_other_sizes_too(subject):
    laws.gold_holds(subject, 100, thought_is_true)


@pytest.mark.parametrize("cases", laws.CASES)
@named(SUBJECTS)
def test_judges_agree(subject, cases):
    def wrong(problem, source):
        path = problem.answer.split(" ")
        graph, start, _ = read(problem.prompt)
        if source.random() < 0.5:  # some way of the right length from the start
            walks = [[start]]
            for _ in range(subject.length - 1):
                walks = [[*walk, after] for walk in walks for after in graph.successors(walk[-1])]
            return " ".join(source.choice(walks or [path]))
        path[source.randrange(len(path))] = source.choice([*graph.nodes, "0", "01", "３", "e", ""])  # noqa: RUF001
        return source.choice([" "] * 20 + ["  ", "\t"]).join(path[:: source.choice((1, 1, 1, -1))])

    laws.judges_agree(subject, lambda prompt, answer: answer in right_answers(prompt), wrong, cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
@named(SUBJECTS)
def test_any_answer_gets_a_verdict(subject, cases):
    laws.never_raises(subject, cases)


def copied(subject):
    def copy(prompt, source):
        graph, start, goal = read(prompt)
        names = [str(node) for node in range(1, subject.nodes + 1)]
        new = dict(zip(names, source.sample(names, len(names)), strict=True))
        if source.random() < 0.5:
            graph, start, goal = graph.reverse(), goal, start
        edges = [f"{new[one]}>{new[other]}" for one, other in graph.edges]
        source.shuffle(edges)
        return " ".join([*edges, new[start], new[goal]])

    return copy


def are_copies(first, second):
    def picture(prompt, turned):
        graph, start, goal = read(prompt)
        nx.set_node_attributes(
            graph, {start: "goal" if turned else "start", goal: "start" if turned else "goal"}, "end"
        )
        return graph.reverse() if turned else graph

    return any(
        nx.is_isomorphic(picture(first, False), picture(second, turned), lambda one, other: one == other)
        for turned in (False, True)
    )


def moved(subject, prompt, source):
    """The map with one end of an edge elsewhere."""
    *edges, start, goal = prompt.split(" ")
    place, end = source.randrange(len(edges)), source.randrange(2)
    ends = edges[place].split(">")
    ends[end] = str(source.randrange(1, subject.nodes + 1))
    return " ".join([*edges[:place], ">".join(ends), *edges[place + 1 :], start, goal])


@pytest.mark.parametrize(
    "subject", [STANDARD, pytest.param(OTHERS[0], marks=pytest.mark.slow)], ids=lambda subject: subject.name
)
def test_copies_are_found(subject):
    def near(problems):
        source, pairs = random.Random(3), []
        for problem in problems[:150]:
            try:
                changed = subject.problem(moved(subject, problem.prompt, source)).prompt
            except PuzzleError:  # an edge twice, or another length
                continue
            if not are_copies(problem.prompt, changed):
                pairs.append((problem.prompt, changed))
        assert len(pairs) > 50
        return pairs

    laws.copies_are_found(subject, copied(subject), near)


def test_copies_among_small_maps_are_those_that_graphs_are():
    """Maps of five nodes repeat; keys and `same` tell which ones do."""
    prompts = [problem.prompt for problem in laws.drawn(SMALL, 45)]
    keys = SMALL.keys(prompts)
    seen = Counter()
    for first, second in itertools.combinations(range(len(prompts)), 2):
        expected = are_copies(prompts[first], prompts[second])
        assert (keys[first] == keys[second]) == SMALL.same(prompts[first], prompts[second]) == expected
        seen[expected] += 1
    assert min(seen[True], seen[False]) > 10


def test_a_map_with_fewer_edges_is_no_copy():
    shorter = "3>5 5>4 3>2 2>4 4>1 3 4"
    assert not SMALL.same(EXAMPLE, shorter)
    assert len(set(SMALL.keys([EXAMPLE, shorter]))) == 2
    assert SMALL.keys([EXAMPLE, shorter])[1] == SMALL.keys([shorter])[0]


@named([STANDARD, *OTHERS])
def test_nodes_have_even_shares_of_the_edges(subject):
    few, more = subject.edges // subject.nodes, -(-subject.edges // subject.nodes)
    for problem in laws.drawn(subject, 50):
        graph = read(problem.prompt)[0]
        assert graph.number_of_edges() == subject.edges
        assert {few, more} == {few, more} | {degree for _, degree in (*graph.in_degree(), *graph.out_degree())}


def test_every_map_is_as_likely():
    """Of four nodes and four edges all maps with a path of four nodes are circles: six, with four starts each."""
    subject = PathPlanning(nodes=4, edges=4, length=4)
    problems = laws.drawn(subject, 4_800)
    counts = Counter((*sorted(problem.prompt.split(" ")[:-2]), problem.answer[0]) for problem in problems)
    assert len(counts) == 24
    assert chisquare([*counts.values()]).pvalue > 1e-4
    prompts = [problem.prompt.split(" ")[:-2] for problem in problems]
    orders = Counter(tuple(sorted(edges).index(edge) for edge in edges) for edges in prompts)
    assert len(orders) == 24
    assert chisquare([*orders.values()]).pvalue > 1e-4


def chance_to_be_next(graph, start, goal, steps):
    """That random edges lead from the start, in so many steps, to a node with an edge to the goal."""
    if steps == 0:
        return Fraction(graph.has_edge(start, goal))
    after = [*graph.successors(start)]
    return sum((chance_to_be_next(graph, node, goal, steps - 1) for node in after), Fraction(0)) / max(len(after), 1)


@named([STANDARD, SMALL])
def test_the_pair_asked_for_is_the_hardest_to_find_at_random(subject):
    for problem in laws.drawn(subject, 12):
        graph, *asked = read(problem.prompt)
        chances = {
            (start, goal): max(
                chance_to_be_next(graph, start, goal, subject.length - 2),
                chance_to_be_next(graph.reverse(), goal, start, subject.length - 2),
            )
            for start, away in nx.all_pairs_shortest_path_length(graph)
            for goal, steps in away.items()
            if steps == subject.length - 1
        }
        assert chances[tuple(asked)] - min(chances.values()) < Fraction(1, 100_000)


def walks(subject, problem, source, choose, careful):
    """Whether a walker who knows no more than the next nodes finds the path."""
    graph, start, goal = read(problem.prompt)
    if source.random() < 0.5:
        graph, start, goal = graph.reverse(), goal, start
    path = [start]
    for _ in range(subject.length - 1):
        after = [*graph.successors(path[-1])]
        if careful:
            after = [node for node in after if node not in path]
            after = [node for node in after if node == goal] or [
                node for node in after if set(graph.successors(node)) - {*path, node}
            ]
        if not after:
            return False
        path.append(choose(graph, after, source))
    return path[-1] == goal


@pytest.mark.parametrize(
    ("choose", "careful", "share"),
    [
        (lambda graph, after, source: source.choice(after), False, 0.067),
        (lambda graph, after, source: source.choice(after), True, 0.18),
        (
            lambda graph, after, source: max(after, key=lambda node: (graph.out_degree(node), source.random())),
            True,
            0.18,
        ),
        (
            lambda graph, after, source: min(after, key=lambda node: (graph.out_degree(node), source.random())),
            True,
            0.18,
        ),
        (lambda graph, after, source: max(after, key=lambda node: (graph.degree(node), source.random())), True, 0.18),
        (
            lambda graph, after, source: min(after, key=lambda node: (graph.in_degree(node), source.random())),
            True,
            0.18,
        ),
        (lambda graph, after, source: after[0], True, 0.18),
        (lambda graph, after, source: min(after, key=int), True, 0.18),
    ],
    ids=["random", "careful", "most out", "fewest out", "most", "fewest in", "first", "lowest"],
)
def test_shortcuts_lead_nowhere(choose, careful, share):
    source, problems = random.Random(5), laws.drawn(STANDARD, 1_000, seed=60)
    found = sum(walks(STANDARD, problem, source, choose, careful) for problem in problems) / len(problems)
    assert found == pytest.approx(share, abs=0.04)


def test_few_maps_have_several_paths():
    several = sum(len(right_answers(problem.prompt)) > 1 for problem in laws.drawn(STANDARD, 1_000))
    assert 10 <= several <= 45


def test_the_worked_example():
    problem = Problem(EXAMPLE, "4 | 2 5 | 3 | 3 2 4", "3 2 4", 2)
    assert SMALL.problem(EXAMPLE) == problem
    assert SMALL.judge(problem, "3 5 4") == Verdict(True, "")
    assert SMALL.problem(EXAMPLE, answer="3 5 4") == problem._replace(thought="4 | 2 5 | 3 | 3 5 4", answer="3 5 4")
    words, features = SMALL.form.lay(EXAMPLE)
    assert words == "e e e e e e 3 4"
    assert features[:, 1:].tolist() == [
        *([3, 5, 0], [1, 3, 0], [5, 4, 0], [3, 2, 0], [2, 4, 0], [4, 1, 0]),
        *([0, 0, 1], [0, 0, 2]),
    ]
    assert not features[:, 0].any()
    assert SMALL.form.symbols == ("1", "2", "3", "4", "5", "e")
    assert (SMALL.form.prompt, SMALL.form.thought, SMALL.form.answer) == (10, 11, 3)


@pytest.mark.parametrize(
    "written",
    [
        "3->5, 1->3, 5->4, 3->2, 2->4, 4->1; 3, 4",
        "3 > 5  1 > 3  5 > 4  3 > 2  2 > 4  4 > 1\n3 4",
        "3→5;1→3;5→4;3→2;2→4;4→1;3;4",
        "3 => 5\n1 --> 3\n5 => 4\n3 -> 2\n2 -> 4\n4 -> 1\n3\n4\n",
    ],
)
def test_a_person_may_write_as_people_do(written):
    assert SMALL.problem(written) == SMALL.problem(EXAMPLE)
    assert SMALL.problem(written, "4 | 3", "3 -> 5 -> 4") == Problem(EXAMPLE, "4 | 3", "3 5 4", 2)


@pytest.mark.parametrize(
    ("prompt", "thought", "answer", "reason"),
    [
        ("", "", "", "1 to 8 edges, a start and a goal expected, such as 3>5 5>7 3 7"),
        ("3 4", "", "", "1 to 8 edges, a start and a goal expected"),
        ("3>4 " * 9 + "3 4", "", "", "1 to 8 edges, a start and a goal expected"),
        ("3>5 5>4 4", "", "", "symbol 2, '5>4', is not a node (the start, or the goal) with names from 1 to 5"),
        ("3>5 5 4 3 4", "", "", "symbol 2, '5', is not an edge such as 3>5 with names from 1 to 5"),
        ("3>5>4 3 4", "", "", "symbol 1, '3>5>4', is not an edge"),
        ("3>6 6>4 3 4", "", "", "symbol 1, '3>6', is not an edge such as 3>5 with names from 1 to 5"),
        ("3>５ 5>4 3 4", "", "", "symbol 1, '3>５', is not an edge"),  # noqa: RUF001
        ("3>5 5>4 03 4", "", "", "symbol 3, '03', is not a node"),
        ("3>3 3>4 3 4", "", "", "edge 1 leads from node 3 to itself"),
        ("3>5 5>4 3>5 3 4", "", "", "edge 3 repeats edge 1"),
        ("3>5 5>4 4 3", "", "", "no path of 3 nodes or fewer leads from 4 to 3; the shortest one has to have 3"),
        ("3>5 5>4 3>4 3 4", "", "", "a path of 2 nodes leads from 3 to 4; the shortest one has to have 3"),
        ("3>5 5>4 3 3", "", "", "a path of 1 nodes leads from 3 to 3; the shortest one has to have 3"),
        ("3>5 " * 3_000, "", "", "the prompt has 12000 characters, and 10000 are too many"),
        (EXAMPLE, "4 | 6", "", "the thought cannot be written: symbol 3 of the text is '6'; the alphabet is"),
        (EXAMPLE, "", "3 1 4", "the answer is wrong: 3>1 at place 1 is not an edge"),
    ],
)
def test_what_cannot_be_asked(prompt, thought, answer, reason):
    with pytest.raises(PuzzleError) as error:
        SMALL.problem(prompt, thought, answer)
    assert error.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "3 nodes expected, got 0"),
        ("3 5", "3 nodes expected, got 2"),
        ("3 5 6", "'6' at place 3 is not a node from 1 to 5"),
        ("3 5５ 4", "'5５' at place 2 is not a node from 1 to 5"),  # noqa: RUF001
        ("1 3 5", "the path starts at 1, not at 3"),
        ("3 5 2", "the path ends at 2, not at 4"),
        ("3 4 4", "3>4 at place 1 is not an edge"),
        ("3 " * 10_000, "3 nodes expected, got a text of 20000 characters"),
    ],
)
def test_a_verdict_says_why(answer, reason):
    assert SMALL.judge(SMALL.problem(EXAMPLE), answer) == Verdict(False, reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1}, r"task\.subject\.length=1 must be 2 to 50: a path has a start and a goal"),
        ({"length": "5"}, r"task\.subject\.length=5 must be 2 to 50: "),
        ({"nodes": 4}, r"task\.subject\.nodes=4 must be 5 to 50: a path takes no node twice"),
        ({"nodes": "12"}, r"task\.subject\.nodes=12 must be 5 to 50: "),
        ({"edges": 11}, r"task\.subject\.edges=11 must be 12 to 200: one leads out of each node, and one into it"),
        ({"edges": True}, r"task\.subject\.edges=True must be 12 to 200: "),
        ({"edges": 60}, r"task\.subject\.edges=60 must be fewer, or task\.subject\.length=5 another: of 512 random "),
        ({"nodes": 20, "edges": 50, "length": 12}, r"task\.subject\.edges=50 must be fewer, or task\.subject\.length="),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments, message):
    with pytest.raises(ValueError, match="^" + message):
        PathPlanning(**arguments)


@given(st.lists(st.sampled_from(["1>2", "2>3", "3>4", "2 > 1", "4->5", "1", "2", "3", ">", "6>1", "é"]), max_size=12))
@settings(max_examples=300, deadline=None)
def test_any_prompt_is_asked_or_refused(symbols):
    try:
        problem = SMALL.problem(" ".join(symbols))
    except PuzzleError:
        return
    assert thought_is_true(problem)
    assert problem.answer in right_answers(problem.prompt)
