"""One C file as the house rules see it: its code without comments and strings, its comments, its
functions, declarations and struct fields.

This is no compiler. It relies on what clang-format and the compiler see to already: balanced
braces, one declaration a statement. What stands in a macro's body is code for the banned calls,
but makes no function and no field.
"""
import re

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)
MACRO_CALLS = re.compile(r'^(?:\s*[A-Z][A-Z0-9_]*\s*\([^()]*\)(?=\s))+')
CALLEE = re.compile(r'\b([A-Za-z_]\w*)\s*\(')
ATTRIBUTE = re.compile(r'__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)')
STRUCT = re.compile(r'\b(?:struct|union)\s*(?:[A-Za-z_]\w*)?\s*$')


class Item:
    """A function, a declaration or a struct: its name, its text and its lines (1-based)."""

    def __init__(self, name, text, first, last, body=''):
        self.name, self.text, self.first, self.last, self.body = name, text, first, last, body

    @property
    def length(self):
        return self.last - self.first + 1


def blank(text):
    """The same text with everything but its line ends turned to spaces."""
    return re.sub(r'[^\n]', ' ', text)


class Source:
    """Parsed once, asked by every rule."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.split('\n')
        if self.lines[-1] == '':
            self.lines.pop()
        self.comments = []  # (first line, last line, text)
        self.functions, self.declarations, self.structs = [], [], []
        self.room = path.split('/')[0] if '/' in path else ''
        self.is_c = path.endswith(('.c', '.h'))
        self.is_header = path.endswith('.h')
        self.code = TOKEN.sub(self._drop, text) if self.is_c else text
        if self.is_c:
            self._parse(DIRECTIVE.sub(lambda m: blank(m.group()), self.code))

    def _drop(self, match):
        token = match.group()
        if token[0] == '/':
            first = self._line(match.start())
            self.comments.append((first, first + token.count('\n'), token))
            return blank(token)
        return token[0] + blank(token[1:-1]) + token[-1]

    def _line(self, offset):
        return self.text.count('\n', 0, offset) + 1

    def _parse(self, code):
        """Split the file at its outermost braces and semicolons."""
        depth, start, opened, at_brace = 0, 0, [], 0
        for match in re.finditer(r'[{};()]', code):
            char, at = match.group(), match.start()
            chunk = code[start:at]
            if char in '()':
                continue
            if char == '{':
                if depth == 0 and chunk.split()[:1] == ['extern'] and '(' not in chunk:
                    opened.append('linkage')
                    start = at + 1
                    continue
                if depth == 0:
                    at_brace = at
                opened.append('block')
                depth += 1
            elif char == '}':
                if not opened or opened.pop() == 'linkage':
                    start = at + 1
                    continue
                depth -= 1
                if depth == 0 and self._close(code, start, at_brace, at):
                    start = at + 1
            elif depth == 0:
                self._declare(code, start, at)
                start = at + 1

    def _head(self, code, start, end):
        """The text of a declaration without what macros before it made, and where it starts."""
        chunk = code[start:end]
        skipped = MACRO_CALLS.match(chunk)
        if skipped:
            start += skipped.end()
            chunk = code[start:end]
        start += len(chunk) - len(chunk.lstrip())
        return chunk.strip(), self._line(start)

    def _close(self, code, start, brace, end):
        """A block at the outermost level ended. True if it was a function."""
        head, first = self._head(code, start, brace)
        name = self._function_name(head)
        body = code[brace + 1:end]
        if name is not None:
            self.functions.append(Item(name, head, first, self._line(end), body))
            return True
        if STRUCT.search(ATTRIBUTE.sub('', head)) and '=' not in head:
            struct = Item(head, head, first, self._line(end), body)
            struct.body_line = self._line(brace + 1)
            self.structs.append(struct)
        return False

    def _declare(self, code, start, end):
        head, first = self._head(code, start, end)
        if head == '' or '{' in head or head.startswith(('typedef', '_Static_assert')):
            return
        name = self._function_name(head)
        if name is not None:
            self.declarations.append(Item(name, head, first, self._line(end)))

    @staticmethod
    def _function_name(head):
        """The name a function's head declares, None if it is no function's."""
        head = ATTRIBUTE.sub('', head).strip()
        if not head.endswith(')') or re.search(r'(?<![=!<>])=(?!=)', head):
            return None
        depth = 0
        for at, char in enumerate(head):
            if char == '(' and depth == 0:
                name = re.search(r'([A-Za-z_]\w*)\s*$', head[:at])
                return name.group(1) if name and head[:name.start()].strip() else None
            depth += (char == '(') - (char == ')')
        return None

    def comment_ending_on(self, line):
        """The comment that ends on this line, None if there is none."""
        return next((c for c in self.comments if c[1] == line), None)

    def comment_alone_above(self, line):
        """A comment ends right above that is not the end of a line of code."""
        above = self.comment_ending_on(line - 1)
        return above is not None and not self.code.split('\n')[above[0] - 1].strip()

    def has_comment_starting_on(self, line):
        return any(c[0] == line for c in self.comments)

    def fields(self, struct):
        """(line, text) of every field of a struct, nested ones too; the line is its last."""
        line, text = struct.body_line, ''
        for char in struct.body:
            if char == '\n':
                line += 1
            if char == '{':
                text = ''
            elif char == ';':
                if text.strip() and not text.lstrip().startswith('}'):
                    yield line, ' '.join(text.split())
                text = ''
            else:
                text += char
