-- Markdown as ProseMirror's JSON, and as documents.
\pset format unaligned
\pset tuples_only on
CREATE FUNCTION pg_temp.show(markdown text, schema text DEFAULT 'tiptap') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT jsonb_array_elements(ydoc_markdown_to_prosemirror(markdown, schema) -> 'content')::text
$$;
SELECT pg_temp.show($$# Title #

one *two* **three _four_** ~~five~~ `six ** &copy;` [seven](https://x.y/(a) "a &quot;title&quot;") \
eight &copy; &amp; &lt; &#169; &#xA9; &nosuch; &#0; \* <b>
soft https://z.example/q?a=b

Setext
---

> quoted
> - item
>
>   1. one

---

```sql more
SELECT 1;

```

    indented$$);
-- lists: an item begins with a paragraph; tasks
SELECT pg_temp.show($$- tight
  - nested
-
- # heading

7. loose

8. eight

- [x] done
- [ ] open
  more

* [x] one task
* among others$$);
SELECT pg_temp.show($$| a | b | c |
|:--|:-:|--:|
| 1 \| 2 | **x** | `y` |
| short |$$);
-- pictures stand among Tiptap's blocks, and in ProseMirror's lines
SELECT pg_temp.show($$before ![a *b* c](/x.png "t") after

- ![](y.png)

> ![not shown](javascript:alert(1)) ![outer ![inner](/i.png)](/o.png)$$);
SELECT pg_temp.show($$before ![a *b* c](/x.png "t") after **`x`**
- [x] no task

| no | table |
|----|-------|
~~no strike~~
```c++
x
```
***$$, 'prosemirror');
-- empty things are never empty
SELECT pg_temp.show(''), pg_temp.show('>'), pg_temp.show('#'), pg_temp.show('-'), pg_temp.show(E'```\n```');
-- links that may not be followed are text
SELECT pg_temp.show('[a](javascript:alert(1)) [b](JAVASCRIPT&colon;alert(1)) [c](&#106;avascript:x) <vbscript:x> [d](data:text/html,x) ![e](data:text/html,x) [f](<java script:x>) [g](/ok)');
-- a document, there and back
SELECT ydoc_markdown(d, 'body'), ydoc_html(d, 'body'), ydoc_json(d) ? 'body' FROM ydoc_from_markdown(E'# Plan\n\n- [ ] buy **milk**\n', 'body') d;
SELECT ydoc_html(ydoc_xml_insert(d, 'body', 1, ydoc_markdown_to_prosemirror('*added*') -> 'content'), 'body') FROM ydoc_from_markdown('one', 'body', 'prosemirror') d;
SELECT ydoc_from_markdown('x', 'body', 'quill');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_from_markdown(repeat('> ', 191) || 'deep', 'body');
\echo :LAST_ERROR_SQLSTATE
SELECT ydoc_markdown(ydoc_from_markdown(repeat('> ', 50) || 'deep', 'body'), 'body') = repeat('> ', 50) || E'deep\n';
-- a small text that would become a large document
SELECT ydoc_markdown_to_prosemirror(repeat('|a', 100) || E'|\n' || repeat('|---', 100) || E'|\n' || repeat(E'|b|\n', 20000));
\echo :LAST_ERROR_SQLSTATE
-- this one md4c cuts short itself, from 0.5.3 on
DO $$ BEGIN
    ASSERT length(ydoc_markdown_to_prosemirror('[a]: /' || repeat('x', 20000) || E'\n\n' || repeat('[a] ', 20000))::text) < 32 * 100008;
EXCEPTION WHEN program_limit_exceeded THEN NULL;
END $$;
SELECT length(ydoc_markdown_to_prosemirror(repeat('**a** ', 100000))::text) > 5000000;
-- where a text begins in memory means nothing: code, headings and HTML in a list, at each offset
SELECT block, count(DISTINCT markdown_read), min(markdown_read::text)
FROM (VALUES (E'```\n   code\n   ```'), ('# heading'), ('<b>'), (E'setext\n   ---')) AS blocks (block),
     generate_series(0, 256) AS offset_of,
     LATERAL (SELECT ydoc_markdown_to_prosemirror(repeat('x', offset_of) || E'\n\n1. one\n\n   ' || block || E'\n\n   behind\n\n2. two') #> '{content,1}') AS r (markdown_read)
GROUP BY block ORDER BY block;
-- a link that would be a definition
SELECT ydoc_markdown(ydoc_from_delta('[{"insert": "]: x", "attributes": {"code": true, "link": "/a"}}, {"insert": "]:y", "attributes": {"code": true, "link": "/a"}}, {"insert": "\n"}]', 'body'), 'body');
SELECT ydoc_markdown(d, 'body'), ydoc_html(d, 'body') FROM ydoc_from_markdown('[`a]:b`](/c )', 'body', 'prosemirror') d;
