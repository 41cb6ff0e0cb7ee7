
-- ---- whole documents for others: what a relay serves over plain HTTP ----

CREATE FUNCTION ydoc.content(
    document text, kind text, root text DEFAULT NULL, version text DEFAULT NULL, state_vector bytea DEFAULT NULL,
    known_epoch bigint DEFAULT 0, known_seq bigint DEFAULT 0,
    OUT epoch bigint, OUT seq bigint, OUT content bytea)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED COST 1000 ROWS 1
    SET search_path TO pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
    head record;
    doc @extschema@.ydoc;
    place text := root;
    roots text[];
BEGIN
    IF document IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION 'the name of the document and the kind must not be null' USING ERRCODE = 'null_value_not_allowed';
    ELSIF kind <> ALL (ARRAY['update', 'update_v2', 'state_vector', 'json', 'text', 'html', 'markdown']) THEN
        RAISE EXCEPTION 'there is no kind "%"', kind USING
            ERRCODE = 'invalid_parameter_value',
            HINT = 'Kinds are update, update_v2, state_vector, json, text, html and markdown.';
    END IF;
    SELECT h.* INTO head FROM ydoc.heads(ARRAY[document]) h;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF head.deleted_at IS NOT NULL THEN
        PERFORM ydoc.sync(document, '\x00', head.epoch); -- says where it has gone
        RETURN;
    END IF;
    epoch := head.epoch;
    seq := head.seq;
    IF version IS NOT NULL THEN
        SELECT v.seq INTO seq FROM ydoc.versions(document) v WHERE v.label = version;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF epoch = known_epoch AND seq = known_seq THEN
        RETURN NEXT; -- without content
        RETURN;
    END IF;
    IF kind = 'update' AND version IS NULL THEN
        SELECT s.seq, s.update INTO seq, content FROM ydoc.sync(document, coalesce(state_vector, '\x00')) s;
        RETURN NEXT;
        RETURN;
    END IF;
    doc := CASE WHEN version IS NULL THEN ydoc.state(document) ELSE ydoc.version_state(document, version) END;
    SELECT coalesce(array_agg(r.name), '{}') INTO roots FROM @extschema@.ydoc_roots(doc) r;
    IF kind IN ('json', 'text', 'html', 'markdown') AND root IS NOT NULL AND root <> ALL (roots) THEN
        RAISE EXCEPTION 'the document has no root "%"', root USING ERRCODE = 'undefined_object';
    ELSIF kind IN ('text', 'html', 'markdown') AND root IS NULL THEN
        IF cardinality(roots) > 1 THEN
            RAISE EXCEPTION 'the document has % roots: say which', cardinality(roots) USING ERRCODE = 'invalid_parameter_value';
        END IF;
        place := coalesce(roots[1], '');
    END IF;
    content := CASE kind
        WHEN 'update' THEN @extschema@.ydoc_diff(doc, coalesce(state_vector, '\x00'))
        WHEN 'update_v2' THEN @extschema@.ydoc_diff(doc, coalesce(state_vector, '\x00'), 2)
        WHEN 'state_vector' THEN @extschema@.ydoc_state_vector(doc)
        WHEN 'json' THEN convert_to(CASE WHEN place IS NULL THEN @extschema@.ydoc_json(doc) ELSE @extschema@.ydoc_json(doc, place) END::text, 'UTF8')
        WHEN 'text' THEN convert_to(@extschema@.ydoc_text(doc, place), 'UTF8')
        WHEN 'html' THEN convert_to(@extschema@.ydoc_html(doc, place), 'UTF8')
        WHEN 'markdown' THEN convert_to(@extschema@.ydoc_markdown(doc, place), 'UTF8')
    END;
    content := coalesce(content, ''); -- of a document without roots
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION ydoc.content(text, text, text, text, bytea, bigint, bigint) IS
    'A stored document, or a version of it, as an update (update_v2 in the other format; what somebody at a state vector lacks), state_vector, json, text, html or markdown (of a root; NULL: the only one) in bytes, and the (epoch, seq) of that; content NULL if that is what the caller knows; no row if there is no such document or version';

CREATE FUNCTION ydoc.documents(
    after text DEFAULT '', prefix text DEFAULT '', at_most integer DEFAULT 100,
    OUT document text, OUT epoch bigint, OUT seq bigint, OUT created_at timestamptz)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED COST 1000 ROWS 100
    SET search_path TO pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    found record;
BEGIN
    PERFORM ydoc.require_store();
    IF at_most < 1 THEN
        RETURN;
    END IF;
    FOR found IN
        SELECT d.name, d.created_at FROM ydoc_data.document d
        WHERE d.name > documents.after AND d.name >= documents.prefix AND d.deleted_at IS NULL
        ORDER BY d.name LIMIT documents.at_most
    LOOP
        EXIT WHEN NOT starts_with(found.name, prefix);
        SELECT h.epoch, h.seq INTO epoch, seq FROM ydoc.heads(ARRAY[found.name]) h;
        document := found.name;
        created_at := found.created_at;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION ydoc.documents(text, text, integer) IS
    'Stored documents by name, those that begin with a prefix and come after a name, at most so many at a time';
