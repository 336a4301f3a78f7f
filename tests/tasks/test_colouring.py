import itertools
import math
import pickle
import random
import re
from collections import Counter

import networkx
import numpy as np
import pytest

from dlmreason.tasks.colouring import Colouring, count_colourings
from dlmreason.tasks.example import PuzzleError
from dlmreason.tasks.subject import Problem
from tests.tasks import laws

TEN, FOUR_COLOURS = Colouring(), Colouring(nodes=8, edges=20, colours=4)
SMALL = Colouring(nodes=6, edges=9)
BY_NAME = pytest.mark.parametrize("subject", [TEN, FOUR_COLOURS], ids=lambda subject: subject.name)


def graph_of(prompt, nodes):
    graph = networkx.Graph()
    graph.add_nodes_from(range(1, nodes + 1))
    graph.add_edges_from(tuple(map(int, edge.split("-"))) for edge in prompt.split(" "))
    return graph


def is_proper(subject):
    """Another judge: of each colour's nodes, the graph has no edge."""

    def judge(prompt, answer):
        if not re.fullmatch(rf"[A-Z]( [A-Z]){{{subject.nodes - 1}}}", answer):
            return False
        colours = answer.split(" ")
        if not set(colours) <= set("ABCDEF"[: subject.colours]):
            return False
        graph = graph_of(prompt, subject.nodes)
        classes = [[node for node in graph if colours[node - 1] == colour] for colour in "ABCDEF"]
        return all(graph.subgraph(nodes).number_of_edges() == 0 for nodes in classes)

    return judge


def one_wrong(subject):
    def wrong(problem, source):
        colours = problem.answer.split(" ")
        if source.random() < 0.3:  # other names of the colours, which is right
            names = dict(zip("ABCDEF", source.sample("ABCDEF"[: subject.colours], subject.colours), strict=False))
            return " ".join(names[colour] for colour in colours)
        colours[source.randrange(len(colours))] = source.choice([*"ABCDE", "", "e"])
        return source.choice([" ", " ", " ", "  "]).join(colours[: source.choice([99, 99, 99, -1])])

    return wrong


def follows(subject):
    """Replays a thought against the graph: what is forced is, what is tried is not, dead ends are dead."""

    def check(problem):
        graph = graph_of(problem.prompt, subject.nodes)
        colours = "ABCDEF"[: subject.colours]
        trail: dict[int, str] = {}
        failed: list[tuple[int, int, str]] = []  # how long the trail was, and the node and colour that failed then
        open_tries: list[int] = []
        words = iter(problem.thought.split(" "))

        def choices(node):
            taken = {trail[other] for other in graph[node] if other in trail}
            taken |= {colour for _, at, colour in failed if at == node}
            unused = [colour for colour in colours if colour not in trail.values()]
            return [colour for colour in colours if colour not in taken and colour not in unused[1:]]

        for word in words:
            count = {node: len(choices(node)) for node in graph if node not in trail}
            assert (word == "x") == (min(count.values()) == 0)
            if word == "x":
                length = open_tries.pop()
                node, colour = list(trail.items())[length]
                trail = dict(list(trail.items())[:length])
                failed = [each for each in failed if each[0] <= length] + [(length, node, colour)]
                continue
            tried = word == "?"
            word = next(words) if tried else word
            node, colour = int(word[:-1]), word[-1]
            assert (count[node], node) == min((count[other], other) for other in count)
            assert tried == (count[node] > 1) and colour in choices(node)
            open_tries += [len(trail)] if tried else []
            trail[node] = colour
        last = {word[:-1]: word[-1] for word in problem.thought.split(" ") if word not in ("?", "x")}
        answer = " ".join(last[str(node)] for node in range(1, subject.nodes + 1))
        return answer == problem.answer == " ".join(trail[node] for node in sorted(trail))

    return check


def copied(nodes):
    """Edges, their directions and the nodes' names in another order."""

    def copy(prompt, source):
        new = source.sample(range(1, nodes + 1), nodes)
        edges = [[new[int(node) - 1] for node in edge.split("-")] for edge in prompt.split(" ")]
        return " ".join("{}-{}".format(*source.sample(edge, 2)) for edge in source.sample(edges, len(edges)))

    return copy


def one_moved(prompt, nodes, source):
    graph = graph_of(prompt, nodes)
    graph.remove_edge(*source.choice(list(graph.edges)))
    graph.add_edge(*source.choice(list(networkx.non_edges(graph))))
    return copied(nodes)(" ".join(f"{first}-{second}" for first, second in graph.edges), source)


def proper_colourings(prompt, subject):
    """How many, up to the colours' names: each way to use j of k colours is there k! / (k - j)! times."""
    every = np.indices((subject.colours,) * subject.nodes).reshape(subject.nodes, -1)
    proper = np.ones(every.shape[1], bool)
    for first, second in graph_of(prompt, subject.nodes).edges:
        proper &= every[first - 1] != every[second - 1]
    used = sum((every[:, proper] == colour).any(axis=0).astype(int) for colour in range(subject.colours))
    count = Counter(used.tolist())
    return sum(times // math.perm(subject.colours, colours) for colours, times in count.items())


@pytest.mark.parametrize("count", laws.GOLD)
@BY_NAME
def test_answers_are_right_and_thoughts_true(subject, count):
    laws.gold_holds(subject, count, follows(subject))


@pytest.mark.parametrize("cases", laws.CASES)
@BY_NAME
def test_the_judge_agrees_with_independent_sets(subject, cases):
    laws.judges_agree(subject, is_proper(subject), one_wrong(subject), cases)


@pytest.mark.parametrize("cases", laws.FUZZ)
def test_the_judge_never_raises(cases):
    laws.never_raises(TEN, cases)


def test_copies_are_found_and_graphs_with_one_edge_moved_are_not():
    def unrelated(problems):
        source = random.Random(5)
        pairs = [(problem.prompt, one_moved(problem.prompt, 10, source)) for problem in problems[:300]]
        return [pair for pair in pairs if not networkx.is_isomorphic(*(graph_of(prompt, 10) for prompt in pair))]

    laws.copies_are_found(TEN, copied(10), unrelated)


def test_small_graphs_are_copies_exactly_where_networkx_says_so():
    subject, seen = Colouring(nodes=6, edges=7), Counter()
    prompts = [problem.prompt for problem in laws.drawn(subject, 60)]
    words = subject.keys(prompts)
    for i, j in itertools.combinations(range(60), 2):
        verdict = networkx.is_isomorphic(graph_of(prompts[i], 6), graph_of(prompts[j], 6))
        assert subject.same(prompts[i], prompts[j]) == verdict == (words[i] == words[j])
        seen[verdict] += 1
    assert min(seen.values()) > 50, seen


@BY_NAME
def test_difficulty_counts_the_right_ones_among_all_colourings(subject):
    for problem in laws.drawn(subject, 30):
        graph = graph_of(problem.prompt, subject.nodes)
        assert graph.number_of_edges() == subject.edges
        assert graph.number_of_nodes() == subject.nodes
        right = proper_colourings(problem.prompt, subject)
        every = count_colourings(subject.nodes, subject.colours)
        assert right << problem.difficulty <= every < right << (problem.difficulty + 1)


@pytest.mark.parametrize(("nodes", "colours"), [(1, 3), (2, 2), (5, 2), (6, 3), (7, 4), (4, 6)])
def test_colourings_are_counted_up_to_the_colours_names(nodes, colours):
    every = {tuple(map(given.index, given)) for given in itertools.product(range(colours), repeat=nodes)}
    assert count_colourings(nodes, colours) == len(every)


def test_graphs_are_drawn_evenly_from_those_that_can_be_coloured():
    """Five nodes and eight edges: the graphs whose complement is two edges; those with a node in common leave K4."""
    subject = Colouring(nodes=5, edges=8)
    counts = Counter(frozenset(problem.prompt.split(" ")) for problem in laws.drawn(subject, 1_500))
    assert len(counts) == 15
    assert all(abs(count - 100) < 5 * 10 for count in counts.values()), counts
    firsts = Counter(problem.prompt.split(" ")[0] for problem in laws.drawn(subject, 1_000))
    assert len(firsts) == 10
    assert all(abs(count - 100) < 5 * 10 for count in firsts.values()), firsts


def test_half_of_the_graphs_of_the_preset_can_be_coloured_and_a_guess_is_right_once_in_a_thousand_or_less():
    source, right, share = random.Random(3), 0, 0.0
    for seed in range(200):
        graph = networkx.gnm_random_graph(10, 18, seed=seed)
        graph = networkx.relabel_nodes(graph, {node: node + 1 for node in graph})
        prompt = " ".join(f"{first}-{second}" for first, second in graph.edges)
        try:
            asked = TEN.problem(prompt)
        except PuzzleError:
            continue
        right += 1
        share += 2.0**-asked.difficulty
    assert abs(right / 200 - 0.56) < 0.15
    assert share / right < 1e-3
    guesses = [" ".join(source.choices("ABC", k=10)) for _ in range(4_000)]
    assert (
        sum(TEN.judge(problem, guess).correct for problem, guess in zip(laws.drawn(TEN, 4_000), guesses, strict=True))
        < 10
    )


def test_worked_examples():
    triangle_with_a_tail = Colouring(nodes=4, edges=4).problem("1-2 2-3 3-1 4-3")
    assert triangle_with_a_tail == Problem("1-2 2-3 1-3 3-4", "1A 2B 3C ? 4A", "A B C A", 2)
    dead_end = SMALL.problem("4-6 1-6 5-6 3-4 3-5 1-3 2-6 1-2 4-5")
    assert dead_end.thought == "1A 2B 6C ? 3B 4A x 3C ? 4A 5B"
    assert dead_end.answer == "A B C A B C"
    text, features = SMALL.form.lay("1-2 2-6")
    assert text == "e e"
    assert features.tolist() == [[0, 1, 2], [0, 2, 6]]


@pytest.mark.parametrize(
    "text",
    [
        "1-2 2-6 4-5",
        "1-2, 6-2, 5-4",
        "(1,2) (2,6) (4,5)",
        "1 2\n2 6\n4 5\n",
        "{1, 2}; {2, 6}; {4, 5}",
        "1 – 2 2 – 6 4 – 5",  # noqa: RUF001
    ],
)
def test_a_person_may_spell_a_graph_in_many_ways(text):
    asked = SMALL.problem(text)
    assert asked.prompt == "1-2 2-6 4-5"
    assert SMALL.judge(asked, asked.answer).correct


def test_a_persons_answer_and_thought_are_kept():
    assert SMALL.problem("1-2 2-6", answer="abbbba").answer == "A B B B B A"
    assert SMALL.problem("1-2 2-6", thought="? 1C").thought == "? 1C"
    assert SMALL.problem("1-2 2-6", answer="A B B B B A").thought == ""
    with pytest.raises(PuzzleError, match="the answer is wrong: nodes 1 and 2 are joined and both are A"):
        SMALL.problem("1-2 2-6", answer="A A B B B B")
    with pytest.raises(PuzzleError, match="the thought cannot be written: symbol 1 of the text is '1D'"):
        SMALL.problem("1-2 2-6", thought="1D")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 9 edges of two nodes each expected, got 0 names of nodes"),
        ("1-2 3", "1 to 9 edges of two nodes each expected, got 3 names of nodes"),
        ("1-2 " * 10, "got 20 names of nodes"),
        ("1-7", "name 2, '7', is not a node from 1 to 6"),
        ("0-1", "name 1, '0', is not a node"),
        ("1-01", "name 2, '01', is not a node"),
        ("1-２", "name 2, '２', is not a node"),  # noqa: RUF001
        ("1>2", "name 1, '1>2', is not a node"),
        ("1-2 3-3", "edge 2 joins node 3 to itself"),
        ("1-2 3-4 2-1", "edge 3 repeats edge 1"),
        ("1-2 1-3 1-4 2-3 2-4 3-4", "3 colours are not enough for this graph"),
        ("1-2" + " " * 100_000, "the prompt has 100003 characters"),
    ],
)
def test_what_is_no_graph_is_refused(text, reason):
    with pytest.raises(PuzzleError) as refused:
        SMALL.problem(text)
    assert reason in refused.value.reason
    assert len(refused.value.reason) < 300


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "6 colours expected, got 0"),
        ("A B C", "6 colours expected, got 3"),
        ("A B C A B C A", "6 colours expected, got 7"),
        ("A B C A B D", "'D' at place 6 is none of the colours A B C"),
        ("A B C A B e", "'e' at place 6 is none of the colours A B C"),
        ("A B  A B C", "'' at place 3 is none of the colours A B C"),
        ("A " * 100, "6 colours expected, got a text of 200 characters"),
        ("A B C C B B", "nodes 2 and 6 are joined and both are B"),
    ],
)
def test_the_judge_says_what_is_wrong(answer, reason):
    assert SMALL.judge(Problem("1-2 2-6", "", "", 0), answer) == (False, reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"colours": 1}, "task.subject.colours=1 must be from 2 to 6"),
        ({"nodes": 1}, "task.subject.nodes=1 must be from 2 to 12 where there are 3 colours"),
        ({"nodes": 13}, "task.subject.nodes=13 must be from 2 to 12"),
        ({"nodes": 12, "colours": 4}, "task.subject.nodes=12 must be from 2 to 10"),
        ({"nodes": 10.0}, "task.subject.nodes=10.0 must be"),
        ({"nodes": 10, "edges": 34}, "task.subject.edges=34 must be from 1 to 33"),  # of the Turán graph T(10, 3)
        ({"edges": True}, "task.subject.edges=True must be from 1 to 33"),
    ],
)
def test_settings_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Colouring(**arguments)


def test_the_most_edges_that_are_allowed_can_be_drawn():
    for nodes, edges, colours in ((2, 1, 2), (5, 6, 2), (6, 12, 3), (4, 6, 5)):
        assert Colouring(nodes=nodes, edges=edges, colours=colours).draw(0, 64)
        with pytest.raises(ValueError):
            Colouring(nodes=nodes, edges=edges + 1, colours=colours)


def test_names_and_lengths():
    assert TEN.name == "colouring_10x18x3"
    assert dict(TEN.parameters) == {"nodes": 10, "edges": 18, "colours": 3}
    assert TEN.form.symbols == ("e", "A", "B", "C")
    again = pickle.loads(pickle.dumps(TEN))
    assert again.draw(1, 3) == TEN.draw(1, 3)
    assert TEN.keys([]) == []
    assert np.array(TEN.keys(["1-2"]), np.uint64).dtype == np.uint64
