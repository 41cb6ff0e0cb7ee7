/*
 * markdown_line.c: one line of Markdown (markdown_line.h).
 *
 *     runs      "a " [bold]  "b" [bold, italic]  " c" []
 *     pieces    a [bold] · ␣ [bold] · b [bold, italic] · ␣ · c          spaces stand alone
 *     tokens    ( a ␣ ( b ) ) ␣ c                                       marks nest, and hug what is visible
 *     text      **a _b_** c
 *
 * Whether a delimiter opens or closes depends on its neighbours (CommonMark's "flanking").  Spaces are
 * taken out of the ends of marks; where a neighbour still is in the way, it is written as a character
 * reference, which is punctuation to the reader and the same character to people.
 *
 * Characters are taken for letters only if they are so beyond doubt: editions of CommonMark differ in
 * what they call punctuation.
 *
 * Here: pieces, how marks nest, what neighbours do to delimiters.  Not here: how a piece is written (markdown_text.c).
 */
#include "markdown_line.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"

typedef enum PieceKind
{
	PIECE_TEXT, /* begins and ends with something visible */
	PIECE_SPACE,
	PIECE_BREAK,
	PIECE_CODE,
	PIECE_FORMULA,
	PIECE_IMAGE
} PieceKind;

/* What encloses pieces, outermost first where two enclose the same. */
typedef enum Mark
{
	MARK_LINK,
	MARK_STRIKE,
	MARK_BOLD,
	MARK_ITALIC,
	MARK_COUNT
} Mark;

typedef struct Piece
{
	PieceKind kind;
	uint8 marks; /* 1 << Mark */
	const RichMarks *link; /* of MARK_LINK */
	const RichNode *image;
	int start; /* in the line's text */
	int end;
	bool hides_first; /* TEXT: its first character is written as a reference */
	bool hides_last;
} Piece;

typedef enum TokenKind
{
	TOKEN_PIECE,
	TOKEN_OPEN,
	TOKEN_CLOSE
} TokenKind;

typedef struct Token
{
	TokenKind kind;
	Mark mark; /* OPEN, CLOSE */
	bool is_star; /* ITALIC: an asterisk, not an underscore */
	int piece; /* PIECE; else the first piece inside */
	int open; /* CLOSE: the token that opens */
	int cluster; /* OPEN, CLOSE */
} Token;

/* What a reader takes a neighbour of a delimiter for. */
typedef enum Side
{
	SIDE_SPACE,
	SIDE_PUNCTUATION,
	SIDE_LETTER,
	SIDE_DOUBTFUL
} Side;

/* Delimiters with nothing between them. */
typedef struct Cluster
{
	int first; /* token; closing ones come first */
	int count;
	Side before;
	Side after;
} Cluster;

struct MarkdownLine
{
	MarkdownPlace place;
	StringInfoData text;
	int begin; /* where it is written to */
	Piece *pieces;
	int piece_count;
	int piece_room;
	Token *tokens;
	int token_count;
	int token_room;
	Cluster *clusters;
	int cluster_count;
	int cluster_room;
};

/* ---- characters ---- */

static const struct
{
	pg_wchar first;
	pg_wchar last;
} letters[] = {
	{0x00c0, 0x00d6}, {0x00d8, 0x00f6},   {0x00f8, 0x02af}, {0x0388, 0x03f5}, {0x0400, 0x0481},
	{0x048a, 0x052f}, {0x0531, 0x0556},   {0x0561, 0x0587}, {0x05d0, 0x05ea}, {0x0620, 0x0669},
	{0x0671, 0x06d3}, {0x0904, 0x0939},   {0x0e01, 0x0e3a}, {0x10d0, 0x10fa}, {0x1e00, 0x1fbc},
	{0x3041, 0x3096}, {0x30a1, 0x30fa},   {0x3105, 0x312f}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
	{0xac00, 0xd7a3}, {0x20000, 0x323af},
};

static bool
is_letter(pg_wchar c)
{
	int from = 0;
	int to = lengthof(letters);

	if (c < 0x80)
		return markdown_is_alphanumeric(c);
	while (from < to)
	{
		int middle = (from + to) / 2;

		if (c > letters[middle].last)
			from = middle + 1;
		else if (c < letters[middle].first)
			to = middle;
		else
			return true;
	}
	return false;
}

/* Whatever any reader trims from the ends of a line: JavaScript's trim knows most. */
static bool
is_space(pg_wchar c)
{
	return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
		   (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
		   c == 0x205f || c == 0x3000 || c == 0xfeff;
}

static Side
side_of(pg_wchar c)
{
	if (is_space(c))
		return SIDE_SPACE;
	if (is_letter(c))
		return SIDE_LETTER;
	return c > 0x20 && c < 0x7f ? SIDE_PUNCTUATION : SIDE_DOUBTFUL;
}

static pg_wchar
character_at(const MarkdownLine *line, int at)
{
	return utf8_to_unicode((const unsigned char *) line->text.data + at);
}

static int
character_bytes(const MarkdownLine *line, int at)
{
	return pg_utf_mblen((const unsigned char *) line->text.data + at);
}

static int
last_character(const MarkdownLine *line, int end)
{
	return markdown_last_character(line->text.data, end);
}

/* ---- pieces ---- */

MarkdownLine *
markdown_line_new(void)
{
	MarkdownLine *line = palloc0(sizeof(MarkdownLine));

	initStringInfo(&line->text);
	return line;
}

void
markdown_line_begin(MarkdownLine *line, MarkdownPlace place)
{
	line->place = place;
	line->piece_count = 0;
	resetStringInfo(&line->text);
}

/* Room for one more in a growing array. */
static void *
reserve(void *array, int count, int *room, size_t each)
{
	if (count < *room)
		return array;
	*room = Max(2 * *room, 16);
	return array == NULL ? palloc(*room * each) : repalloc_huge(array, (size_t) *room * each);
}

static bool
is_same(CrdtBytes a, CrdtBytes b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static bool
is_same_link(const RichMarks *a, const RichMarks *b)
{
	return a == b || (is_same(a->url, b->url) && is_same(a->title, b->title));
}

static void
add_piece(MarkdownLine *line, Piece piece)
{
	line->pieces = reserve(line->pieces, line->piece_count, &line->piece_room, sizeof(Piece));
	line->pieces[line->piece_count++] = piece;
}

/* A piece of text; it goes on with the one before it if a reader cannot tell them apart. */
static void
add_text(MarkdownLine *line, PieceKind kind, CrdtBytes text, Piece like)
{
	Piece *last = line->piece_count > 0 ? &line->pieces[line->piece_count - 1] : NULL;

	if (text.size == 0)
		return;
	like.kind = kind;
	like.start = line->text.len;
	appendBinaryStringInfo(&line->text, (const char *) text.data, text.size);
	like.end = line->text.len;
	if (last != NULL && last->kind == kind && last->marks == like.marks &&
		((like.marks & 1 << MARK_LINK) == 0 || is_same_link(last->link, like.link)))
		last->end = like.end;
	else
		add_piece(line, like);
}

static void
add_run(MarkdownLine *line, const RichNode *run)
{
	const RichMarks *marks = &run->run.marks;
	Piece piece = {.link = marks};

	piece.marks = (marks->is_link ? 1 << MARK_LINK : 0) |
				  (marks->set & RICH_STRIKE ? 1 << MARK_STRIKE : 0) |
				  (marks->set & RICH_BOLD ? 1 << MARK_BOLD : 0) |
				  (marks->set & RICH_ITALIC ? 1 << MARK_ITALIC : 0);
	if (run->kind == RICH_BREAK && line->place != MARKDOWN_PARAGRAPH)
		add_text(line, PIECE_TEXT, CRDT_LITERAL(" "), piece);
	else if (run->kind == RICH_BREAK)
	{
		piece.kind = PIECE_BREAK;
		add_piece(line, piece);
	}
	else if (run->kind == RICH_IMAGE && run->run.url.size > 0)
	{
		piece.kind = PIECE_IMAGE;
		piece.image = run;
		add_piece(line, piece);
	}
	else if (run->kind == RICH_FORMULA)
		add_text(line, PIECE_FORMULA, run->run.text, piece);
	else if (marks->set & RICH_CODE)
		add_text(line, PIECE_CODE, run->run.text, piece);
	else
		add_text(line, PIECE_TEXT, run->run.text, piece);
}

void
markdown_line_add(MarkdownLine *line, const RichNode *run)
{
	for (; run != NULL; run = run->next)
		add_run(line, run);
}

void
markdown_line_add_space(MarkdownLine *line)
{
	add_text(line, PIECE_TEXT, CRDT_LITERAL(" "), (Piece){0});
}

void
markdown_line_add_code(MarkdownLine *line, CrdtBytes code)
{
	add_text(line, PIECE_CODE, code, (Piece){0});
}

static bool
is_all_space(const uint8_t *text, size_t size)
{
	size_t at = 0;

	while (at < size && is_space(utf8_to_unicode(text + at)))
		at += pg_utf_mblen(text + at);
	return at == size;
}

/* Readers disagree on code that is only spaces, and those of tables on a backslash before a pipe. */
static bool
is_writable_code(const MarkdownLine *line, const Piece *piece)
{
	const char *code = line->text.data + piece->start;
	size_t size = piece->end - piece->start;

	if (is_all_space((const uint8_t *) code, size))
		return false;
	return line->place != MARKDOWN_CELL || memmem(code, size, "\\|", 2) == NULL;
}

/* Gives the spaces at the ends of texts pieces of their own. */
static void
part_spaces(MarkdownLine *line)
{
	int count = line->piece_count;
	Piece *whole = line->pieces;

	line->pieces = NULL;
	line->piece_count = line->piece_room = 0;
	for (int i = 0; i < count; i++)
	{
		Piece piece = whole[i];
		int end = piece.end;

		if (piece.kind == PIECE_CODE && !is_writable_code(line, &piece))
			piece.kind = PIECE_TEXT;
		if (piece.kind != PIECE_TEXT)
		{
			add_piece(line, piece);
			continue;
		}
		while (piece.start < end && is_space(character_at(line, piece.start)))
			piece.start += character_bytes(line, piece.start);
		while (piece.end > piece.start &&
			   is_space(character_at(line, last_character(line, piece.end))))
			piece.end = last_character(line, piece.end);
		if (piece.start > whole[i].start)
			add_piece(line, (Piece){.kind = PIECE_SPACE,
									.marks = piece.marks,
									.link = piece.link,
									.start = whole[i].start,
									.end = piece.start});
		if (piece.end > piece.start)
			add_piece(line, piece);
		if (end > piece.end)
			add_piece(line, (Piece){.kind = PIECE_SPACE,
									.marks = piece.marks,
									.link = piece.link,
									.start = piece.end,
									.end = end});
	}
	if (whole != NULL)
		pfree(whole);
}

static bool
is_invisible(const Piece *piece)
{
	return piece->kind == PIECE_SPACE || piece->kind == PIECE_BREAK;
}

bool
markdown_line_is_blank(const RichNode *line)
{
	for (const RichNode *run = line->first; run != NULL; run = run->next)
		if ((run->kind == RICH_IMAGE && run->run.url.size > 0) ||
			(run->kind == RICH_FORMULA && run->run.text.size > 0) ||
			!is_all_space(run->run.text.data, run->run.text.size))
			return false;
	return true;
}

/* ---- nesting ---- */

static void
add_token(MarkdownLine *line, Token token)
{
	line->tokens = reserve(line->tokens, line->token_count, &line->token_room, sizeof(Token));
	line->tokens[line->token_count++] = token;
}

/* Where the pieces end that have the mark of the first one, and no later than end. */
static int
end_of_mark(const MarkdownLine *line, int first, int end, Mark mark)
{
	const Piece *pieces = line->pieces;
	int at = first;

	while (at < end && (pieces[at].marks & 1 << mark) != 0 &&
		   (mark != MARK_LINK || is_same_link(pieces[first].link, pieces[at].link)))
		at++;
	return at;
}

/* Pieces as tokens; done: marks that are open around them.  Of several marks that begin at one place,
 * the longest is the outermost. */
static void
nest(MarkdownLine *line, int first, int end, uint8 done)
{
	while (first < end)
	{
		const Piece *piece = &line->pieces[first];
		Mark longest = MARK_COUNT;
		int longest_end = first;
		int stop;
		int open;

		CHECK_FOR_INTERRUPTS();
		for (Mark mark = 0; mark < MARK_COUNT && !is_invisible(piece); mark++)
		{
			int mark_end = first;

			if ((done & 1 << mark) == 0)
				mark_end = end_of_mark(line, first, end, mark);
			if (mark_end > longest_end)
			{
				longest = mark;
				longest_end = mark_end;
			}
		}
		if (longest == MARK_COUNT)
		{
			add_token(line, (Token){.kind = TOKEN_PIECE, .piece = first++});
			continue;
		}
		stop = longest_end;
		while (is_invisible(&line->pieces[stop - 1]))
			stop--;
		open = line->token_count;
		add_token(line, (Token){.kind = TOKEN_OPEN, .mark = longest, .piece = first});
		nest(line, first, stop, done | 1 << longest);
		add_token(line,
				  (Token){.kind = TOKEN_CLOSE, .mark = longest, .piece = first, .open = open});
		first = stop;
	}
}

/* ---- neighbours ---- */

/* The end of the piece, last or first, that a delimiter meets. */
static Side
side_of_token(const MarkdownLine *line, int token, bool last)
{
	const Piece *piece;

	if (token < 0 || token >= line->token_count)
		return SIDE_SPACE;
	piece = &line->pieces[line->tokens[token].piece];
	if (is_invisible(piece))
		return SIDE_SPACE;
	if (piece->kind != PIECE_TEXT)
		return SIDE_PUNCTUATION;
	return side_of(character_at(line, last ? last_character(line, piece->end) : piece->start));
}

static void
find_clusters(MarkdownLine *line)
{
	line->cluster_count = 0;
	for (int first = 0; first < line->token_count;)
	{
		int end = first;
		Cluster cluster;

		while (end < line->token_count && line->tokens[end].kind != TOKEN_PIECE)
			line->tokens[end++].cluster = line->cluster_count;
		if (end == first)
		{
			first++;
			continue;
		}
		cluster = (Cluster){.first = first,
							.count = end - first,
							.before = side_of_token(line, first - 1, true),
							.after = side_of_token(line, end, false)};
		line->clusters =
			reserve(line->clusters, line->cluster_count, &line->cluster_room, sizeof(Cluster));
		line->clusters[line->cluster_count++] = cluster;
		first = end;
	}
}

static bool
is_apart(Side side)
{
	return side == SIDE_SPACE || side == SIDE_PUNCTUATION;
}

/* Inside of a word an underscore is no delimiter, and an asterisk is if letters are at both its sides;
 * but asterisks of two delimiters may not meet. */
static void
choose_stars(MarkdownLine *line)
{
	for (int i = 0; i < line->token_count; i++)
	{
		Token *close = &line->tokens[i];
		const Cluster *outer;
		const Cluster *inner;

		if (close->kind != TOKEN_CLOSE || close->mark != MARK_ITALIC)
			continue;
		outer = &line->clusters[line->tokens[close->open].cluster];
		inner = &line->clusters[close->cluster];
		if (outer->count == 1 && inner->count == 1 &&
			(!is_apart(outer->before) || !is_apart(inner->after)) && outer->after == SIDE_LETTER &&
			inner->before == SIDE_LETTER)
			close->is_star = line->tokens[close->open].is_star = true;
	}
}

/* Must the character before this cluster be a reference?  Then the delimiter begins a word, whatever
 * comes in front of it. */
static bool
hides_before(const MarkdownLine *line, const Cluster *cluster)
{
	const Token *token = &line->tokens[cluster->first];

	if (token->kind != TOKEN_OPEN || token->mark == MARK_LINK || is_apart(cluster->before))
		return false;
	return cluster->count > 1 || cluster->after != SIDE_LETTER ||
		   (token->mark == MARK_ITALIC && !token->is_star);
}

/* The same of the character behind the cluster. */
static bool
hides_after(const MarkdownLine *line, const Cluster *cluster)
{
	const Token *token = &line->tokens[cluster->first + cluster->count - 1];

	if (token->kind != TOKEN_CLOSE || token->mark == MARK_LINK || is_apart(cluster->after))
		return false;
	return cluster->count > 1 || cluster->before != SIDE_LETTER ||
		   (token->mark == MARK_ITALIC && !token->is_star);
}

/* Makes one end of a piece of text a reference.  If it has one character only, this is its other end,
 * and so concerns the cluster there too. */
static void
hide(MarkdownLine *line, int token, bool last)
{
	Piece *piece = &line->pieces[line->tokens[token].piece];
	bool is_single = piece->end - piece->start == character_bytes(line, piece->start);

	piece->hides_last |= last || is_single;
	piece->hides_first |= !last || is_single;
	if (piece->hides_last && token + 1 < line->token_count &&
		line->tokens[token + 1].kind != TOKEN_PIECE)
		line->clusters[line->tokens[token + 1].cluster].before = SIDE_PUNCTUATION;
	if (piece->hides_first && token > 0 && line->tokens[token - 1].kind != TOKEN_PIECE)
		line->clusters[line->tokens[token - 1].cluster].after = SIDE_PUNCTUATION;
}

static void
hide_neighbours(MarkdownLine *line, const Cluster *cluster)
{
	if (hides_before(line, cluster))
		hide(line, cluster->first - 1, true);
	if (hides_after(line, cluster))
		hide(line, cluster->first + cluster->count, false);
}

/* What is hidden on the right of a cluster concerns only those further right, and so on the left. */
static void
hide_all(MarkdownLine *line)
{
	for (int i = 0; i < line->cluster_count; i++)
		hide_neighbours(line, &line->clusters[i]);
	for (int i = line->cluster_count - 1; i >= 0; i--)
		hide_neighbours(line, &line->clusters[i]);
}

/* ---- the line ---- */

/*
 * "[`a]:b`](/c)" at the beginning of a paragraph is a definition of the link a, to "b`](/c)", for code
 * inside means nothing yet.  A space ends what could be its target while a parenthesis is open.
 */
static bool
looks_defined(const char *link, int size)
{
	for (int i = 1; i < size - 1; i++)
	{
		if (link[i] == '\\')
			i++;
		else if (link[i] == ']')
			return link[i + 1] == ':';
	}
	return false;
}

static void
write_delimiter(const MarkdownLine *line, const Token *token, StringInfo out)
{
	static const char *const delimiters[] = {NULL, "~~", "**", "_"};

	if (token->mark != MARK_LINK)
		appendStringInfoString(out, token->is_star ? "*" : delimiters[token->mark]);
	else if (token->kind == TOKEN_OPEN)
		appendStringInfoChar(out, '[');
	else
	{
		const RichMarks *link = line->pieces[token->piece].link;
		bool is_doubtful =
			token->open == 0 && looks_defined(out->data + line->begin, out->len - line->begin);

		appendStringInfoChar(out, ']');
		markdown_text_write_target(link->url, link->title, line->place, out);
		if (is_doubtful && link->title.size == 0)
		{
			out->data[out->len - 1] = ' ';
			appendStringInfoChar(out, ')');
		}
	}
}

static void
write_image(const MarkdownLine *line, const RichNode *image, StringInfo out)
{
	MarkdownText text = {.data = (const char *) image->run.text.data,
						 .size = image->run.text.size,
						 .place = line->place};

	appendStringInfoString(out, "![");
	markdown_text_write(&text, out);
	appendStringInfoChar(out, ']');
	markdown_text_write_target(image->run.url, image->run.title, line->place, out);
}

static void
write_piece(const MarkdownLine *line, int index, bool begins_line, StringInfo out)
{
	const Token *token = &line->tokens[index];
	const Piece *piece = &line->pieces[token->piece];
	MarkdownText text = {.data = line->text.data + piece->start,
						 .size = piece->end - piece->start,
						 .place = line->place,
						 .begins_line = begins_line,
						 .follows_line = begins_line && out->len > line->begin,
						 .hides_first = piece->hides_first,
						 .hides_last = piece->hides_last};

	switch (piece->kind)
	{
		case PIECE_TEXT: markdown_text_write(&text, out); break;
		case PIECE_SPACE:
			if (!begins_line) /* readers would take it away */
				markdown_text_write_space((CrdtBytes){(const uint8_t *) text.data, text.size}, out);
			break;
		case PIECE_BREAK: appendStringInfoString(out, "\\\n"); break;
		case PIECE_CODE: markdown_text_write_code(text.data, text.size, text.place, out); break;
		case PIECE_FORMULA:
			appendStringInfoChar(out, '$');
			markdown_text_write_code(text.data, text.size, text.place, out);
			appendStringInfoChar(out, '$');
			break;
		case PIECE_IMAGE: write_image(line, piece->image, out); break;
	}
}

bool
markdown_line_write(MarkdownLine *line, StringInfo out)
{
	int first = 0;

	line->begin = out->len;
	part_spaces(line);
	while (line->piece_count > 0 && is_invisible(&line->pieces[line->piece_count - 1]))
		line->piece_count--;
	while (first < line->piece_count && is_invisible(&line->pieces[first]))
		first++;
	if (first == line->piece_count)
		return false;
	line->token_count = 0;
	nest(line, first, line->piece_count, 0);
	find_clusters(line);
	choose_stars(line);
	hide_all(line);
	for (int i = 0; i < line->token_count; i++)
	{
		bool begins_line = out->len == line->begin || out->data[out->len - 1] == '\n';

		CHECK_FOR_INTERRUPTS();
		if (line->tokens[i].kind == TOKEN_PIECE)
			write_piece(line, i, begins_line, out);
		else
			write_delimiter(line, &line->tokens[i], out);
	}
	return true;
}
