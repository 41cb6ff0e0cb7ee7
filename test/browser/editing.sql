-- What the SQL sessions of the live tests do: one random edit a call, in a transaction of its own.
--
-- Capital letters belong to the people who type: nobody else writes or deletes one, and what is
-- replaced keeps them.  So everybody finds his own again.  Places are chosen under the document's
-- lock: what was read is what is edited.
CREATE SCHEMA live;

CREATE FUNCTION live.below(most double precision) RETURNS integer
    LANGUAGE sql VOLATILE AS $$ SELECT floor(random() * most)::integer $$;

CREATE FUNCTION live.word() RETURNS text LANGUAGE sql VOLATILE
    AS $$ SELECT (ARRAY['apple ', 'pear', ' and ', 'é', '😀', 'ox', '  ', 'one two three '])[1 + live.below(8)] $$;

-- length as Yjs counts: UTF-16 units
CREATE FUNCTION live.units(body text) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT length(body) + length(regexp_replace(body, '[^\U00010000-\U0010ffff]', '', 'g')) $$;

CREATE FUNCTION live.lock(document text) RETURNS void LANGUAGE sql VOLATILE
    AS $$ SELECT FROM ydoc_data.document d WHERE d.name = document FOR NO KEY UPDATE $$;

-- The edit of one text, at its path.
CREATE FUNCTION live.edit_text(document text, path text[], body text) RETURNS text
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    at integer := live.below(length(body) + 1);
    index integer := live.units(left(body, at));
    -- from there on, what belongs to nobody
    free text := substring(substr(body, at + 1, 1 + live.below(12)) FROM '^[^A-Z]*');
    words text[] := ARRAY['apple', 'pear', 'ox'];
    kind text := (ARRAY['insert', 'insert', 'delete', 'delete', 'format', 'replace', 'rewrite', 'regret'])[1 + live.below(8)];
BEGIN
    IF length(body) > 2000 AND kind = 'insert' THEN
        kind := 'delete';
    END IF;
    CASE kind
        WHEN 'insert' THEN
            PERFORM ydoc.text_insert(document, path, index, live.word());
        WHEN 'delete' THEN
            PERFORM ydoc.text_delete(document, path, index, live.units(free));
        WHEN 'format' THEN
            PERFORM ydoc.text_format(document, path, index, live.units(free),
                CASE live.below(3) WHEN 0 THEN '{"bold": {}}' WHEN 1 THEN '{"italic": {}}' ELSE '{"bold": null, "italic": null}' END::jsonb);
        WHEN 'replace' THEN
            PERFORM ydoc.text_replace(document, path, replace(body, words[1 + live.below(3)], words[1 + live.below(3)]));
        WHEN 'rewrite' THEN
            -- of all the text at once, as a program that formats would
            PERFORM ydoc.text_replace(document, path, regexp_replace(regexp_replace(body, ' +', ' ', 'g'), 'three', 'four', 'g'));
        WHEN 'regret' THEN
            BEGIN
                PERFORM ydoc.text_insert(document, path, index, 'never seen');
                RAISE EXCEPTION 'changed my mind' USING ERRCODE = 'LV001';
            EXCEPTION WHEN SQLSTATE 'LV001' THEN
                NULL;
            END;
    END CASE;
    RETURN kind;
END
$$;

-- ---- a text: what CodeMirror shows ----

CREATE FUNCTION live.edit_plain(document text) RETURNS text
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    body text;
BEGIN
    PERFORM live.lock(document);
    body := ydoc.text(document, 'content');
    IF length(body) < 2000 AND live.below(12) = 0 THEN
        PERFORM ydoc.text_append(document, 'content', E'\nand a line more');
        RETURN 'line';
    END IF;
    RETURN live.edit_text(document, ARRAY['content'], body);
END
$$;

-- ---- XML: what Tiptap shows ----

-- The texts inside, by path.  (Elements have one text each here, at their index 0.)
CREATE FUNCTION live.texts(document text) RETURNS TABLE (path text[], body text)
    LANGUAGE sql VOLATILE
AS $$
    WITH RECURSIVE element (path, node) AS (
        SELECT ARRAY['default'], ydoc_prosemirror(ydoc.state(document), 'default')
        UNION ALL
        SELECT e.path || (c.number - 1)::text, c.node
        FROM element e, jsonb_array_elements(e.node -> 'content') WITH ORDINALITY c (node, number)
        WHERE c.node ->> 'type' <> 'text'
    )
    SELECT e.path || '0'::text, string_agg(c.node ->> 'text', '' ORDER BY c.number)
    FROM element e, jsonb_array_elements(e.node -> 'content') WITH ORDINALITY c (node, number)
    WHERE c.node ->> 'type' = 'text'
    GROUP BY e.path
$$;

-- paragraphs: also such that stay
CREATE FUNCTION live.block(paragraphs boolean) RETURNS jsonb
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    words jsonb := jsonb_build_array(
        jsonb_build_object('type', 'text', 'text', 'made in sql: ' || live.word()),
        jsonb_build_object('type', 'text', 'text', 'pear', 'marks', '[{"type": "bold"}]'::jsonb));
    paragraph jsonb := jsonb_build_object('type', 'paragraph', 'content', words);
BEGIN
    RETURN CASE live.below(CASE WHEN paragraphs THEN 4 ELSE 2 END)
        WHEN 0 THEN jsonb_build_object('type', 'blockquote', 'content', jsonb_build_array(paragraph, paragraph))
        WHEN 1 THEN jsonb_build_object('type', 'bulletList', 'content', jsonb_build_array(
            jsonb_build_object('type', 'listItem', 'content', jsonb_build_array(paragraph))))
        WHEN 2 THEN jsonb_build_object('type', 'heading', 'attrs', jsonb_build_object('level', 1 + live.below(3)), 'content', words)
        ELSE paragraph
    END;
END
$$;

CREATE FUNCTION live.edit_rich(document text) RETURNS text
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    kind text := (ARRAY['text', 'text', 'text', 'insert', 'delete', 'attribute'])[1 + live.below(6)];
    blocks jsonb;
    count integer;
    at integer;
    place record;
BEGIN
    PERFORM live.lock(document);
    blocks := ydoc_prosemirror(ydoc.state(document), 'default') -> 'content';
    count := jsonb_array_length(blocks);
    at := live.below(count + 1);
    IF count > 40 AND kind = 'insert' THEN
        kind := 'delete';
    END IF;
    CASE kind
        WHEN 'text' THEN
            SELECT * INTO place FROM live.texts(document) ORDER BY random() LIMIT 1;
            IF NOT FOUND THEN
                RETURN 'nothing';
            END IF;
            RETURN live.edit_text(document, place.path, place.body);
        WHEN 'insert' THEN
            PERFORM ydoc.xml_insert(document, 'default', at, live.block(count < 20));
        WHEN 'delete' THEN
            -- with all that is in it: people type elsewhere
            SELECT number - 1 INTO at FROM jsonb_array_elements(blocks) WITH ORDINALITY b (block, number)
            WHERE block ->> 'type' IN ('blockquote', 'bulletList') ORDER BY random() LIMIT 1;
            IF NOT FOUND THEN
                RETURN 'nothing';
            END IF;
            PERFORM ydoc.xml_delete(document, 'default', at);
        WHEN 'attribute' THEN
            SELECT number - 1 INTO at FROM jsonb_array_elements(blocks) WITH ORDINALITY b (block, number)
            WHERE block ->> 'type' = 'heading' ORDER BY random() LIMIT 1;
            IF NOT FOUND THEN
                RETURN 'nothing';
            END IF;
            PERFORM ydoc.xml_set_attribute(document, ARRAY['default', at::text], 'level', to_jsonb(1 + live.below(3)));
    END CASE;
    RETURN kind;
END
$$;
