"""A Sudoku solved out loud, with dead ends that are taken back.

This file decides which tries a trace holds and in which order. It knows no text but the words of the trace.

Singles are written in the order of `sudoku_solver.deductions`; where there are none, the blank with the fewest
candidates is tried, its lowest digit first: "? a1 3" is a try, "x" says that some blank has no digit left, or some
digit no place in a unit, which takes back all since the last try that is still open, and that try's digit is none of
its cell's any more. The last digit left to a cell is no try. Without its dead ends the trace is the order of
deductions.

Two kinds of tries are passed over, as if the solver had known better. Where a puzzle has several solutions: a digit
that leads to another one. In a trace that would be longer than its room: a dead end that does not fit.
"""

from collections.abc import Sequence

from dlmreason.tasks.sudoku_grid import Geometry

TRY, DEAD_END = "?", "x"


class Solver:
    """For one size; `names` of cells, in raster order."""

    def __init__(self, board: Geometry, names: Sequence[str]) -> None:
        self._names, self._size = names, board.size
        units = board.units.tolist()
        self._units = units
        self._of = [[unit for unit, cells in enumerate(units) if cell in cells] for cell in range(board.cells)]

    def trace(self, puzzle: Sequence[int], grid: Sequence[int], room: int) -> list[str]:
        """The symbols of a search that ends in `grid`, at most `room`, which is 3 for each blank or more."""
        state, words = _State(self._units, self._of, self._size, puzzle), list[str]()
        while state.blanks:
            if singles := state.singles():
                for cell, digit in singles:
                    words += self._write(state, cell, digit)
                continue
            cell, digits = state.fewest()
            for digit in [each for each in digits if each < grid[cell]]:
                spare = room - len(words) - 3 * len(state.blanks) - 3
                dead_end = self._dead_end(state.with_(cell, digit), spare)
                if dead_end is not None:
                    words += [TRY, self._names[cell], str(digit), *dead_end]
                    digits.remove(digit)
            words += [TRY] * (len(digits) > 1) + self._write(state, cell, grid[cell])
        return words

    def _write(self, state: "_State", cell: int, digit: int) -> list[str]:
        state.write(cell, digit)
        return [self._names[cell], str(digit)]

    def _dead_end(self, state: "_State", room: int) -> list[str] | None:
        """All that follows from a state until it is dead; None: there is a solution, or it would take more symbols."""
        words: list[str] = []
        while len(words) < room:
            if state.dead():
                return [*words, DEAD_END]
            if not state.blanks:
                return None
            if singles := state.singles():
                for cell, digit in singles:
                    if not state.may(cell, digit):
                        break  # two of the singles contradict each other, which shows when the first is written
                    words += self._write(state, cell, digit)
                continue
            cell, (*others, last) = state.fewest()
            for digit in others:
                dead_end = self._dead_end(state.with_(cell, digit), room - len(words) - 3)
                if dead_end is None:
                    return None
                words += [TRY, self._names[cell], str(digit), *dead_end]
            words += self._write(state, cell, last)
        return None


class _State:
    """A board on the way; digits are bits, digit d being bit d - 1."""

    def __init__(self, units: list[list[int]], of: list[list[int]], size: int, puzzle: Sequence[int]) -> None:
        self._units, self._of, self._every = units, of, (1 << size) - 1
        self._used = [0] * len(units)  # [unit] the digits written there
        self.blanks = dict.fromkeys(cell for cell, digit in enumerate(puzzle) if not digit)  # in raster order
        for cell, digit in enumerate(puzzle):
            for unit in of[cell] if digit else ():
                self._used[unit] |= 1 << (digit - 1)

    def with_(self, cell: int, digit: int) -> "_State":
        """Another state, in which a cell is written."""
        other = object.__new__(_State)
        other._units, other._of, other._every = self._units, self._of, self._every
        other._used, other.blanks = self._used.copy(), self.blanks.copy()
        other.write(cell, digit)
        return other

    def write(self, cell: int, digit: int) -> None:
        del self.blanks[cell]
        for unit in self._of[cell]:
            self._used[unit] |= 1 << (digit - 1)

    def left(self, cell: int) -> int:
        """The digits that none of a blank's units has, as bits."""
        row, column, box = self._of[cell]
        used = self._used
        return self._every & ~(used[row] | used[column] | used[box])

    def may(self, cell: int, digit: int) -> bool:
        return cell in self.blanks and bool(self.left(cell) >> (digit - 1) & 1)

    def dead(self) -> bool:
        """Some blank has no digit left, or some digit no place in a unit."""
        if not all(map(self.left, self.blanks)):
            return True
        return any(some | used != self._every for (some, _), used in zip(self._once(), self._used, strict=True))

    def singles(self) -> list[tuple[int, int]]:
        """Blanks with one digit left; where there are none, blanks that alone in a unit may have some digit."""
        left = {cell: self.left(cell) for cell in self.blanks}
        found = [(cell, bits.bit_length()) for cell, bits in left.items() if not bits & (bits - 1)]
        if not found:
            once = self._once()
            for cell, bits in left.items():
                row, column, box = self._of[cell]
                if hidden := bits & (once[row][1] | once[column][1] | once[box][1]):
                    found.append((cell, (hidden & -hidden).bit_length()))
        return found

    def fewest(self) -> tuple[int, list[int]]:
        """The first blank with the fewest digits left, and these from the lowest on."""
        cell = min(self.blanks, key=lambda cell: self.left(cell).bit_count())
        bits = self.left(cell)
        return cell, [digit for digit in range(1, self._every.bit_length() + 1) if bits >> (digit - 1) & 1]

    def _once(self) -> list[tuple[int, int]]:
        """For each unit, digits that some blank of it may have, and those that exactly one may."""
        left = {cell: self.left(cell) for cell in self.blanks}
        found = []
        for cells in self._units:
            some = several = 0
            for cell in cells:
                bits = left.get(cell, 0)
                several |= some & bits
                some |= bits
            found.append((some, some & ~several))
        return found
