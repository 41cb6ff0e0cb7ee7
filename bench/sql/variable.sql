-- Editing a variable of PL/pgSQL: an edit costs the same however long the loop and the document.

-- Microseconds for each of 10,000 single-character edits of a text that has so many characters before:
-- of the first 1,000, of the last 1,000.
CREATE FUNCTION edit_variable(characters integer, OUT first float8, OUT last float8) LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc_from_text(repeat('x', characters), 't');
    began timestamptz;
BEGIN
    doc := ydoc_text_insert(doc, 't', 0, 'x'); -- decoded from here on
    FOR i IN 1..10000 LOOP
        IF i % 1000 = 1 THEN
            began := clock_timestamp();
        END IF;
        doc := ydoc_text_insert(doc, 't', characters / 2 + i / 2, 'a');
        IF i = 1000 THEN
            first := extract(epoch FROM clock_timestamp() - began) * 1e3;
        END IF;
    END LOOP;
    last := extract(epoch FROM clock_timestamp() - began) * 1e3;
    IF length(ydoc_text(doc, 't')) <> characters + 10001 THEN
        RAISE EXCEPTION 'edits were lost';
    END IF;
END $$;

CREATE FUNCTION assign_to_variable(OUT first float8, OUT last float8) LANGUAGE plpgsql AS $$
DECLARE
    doc ydoc := ydoc_from_json('{"board": {"n": 0}}');
    began timestamptz;
BEGIN
    FOR i IN 1..10000 LOOP
        IF i % 1000 = 1 THEN
            began := clock_timestamp();
        END IF;
        doc['board']['n'] := to_jsonb(i);
        IF i = 1000 THEN
            first := extract(epoch FROM clock_timestamp() - began) * 1e3;
        END IF;
    END LOOP;
    last := extract(epoch FROM clock_timestamp() - began) * 1e3;
END $$;

DO $$
DECLARE
    small float8[]; ratio float8[]; large float8[]; assigned float8[]; assigned_ratio float8[];
    measured record;
BEGIN
    FOR round IN 1..5 LOOP
        measured := edit_variable(0);
        small := small || measured.last;
        ratio := ratio || measured.last / measured.first;
        measured := edit_variable(1000000);
        large := large || measured.last;
        measured := assign_to_variable();
        assigned := assigned || measured.last;
        assigned_ratio := assigned_ratio || measured.last / measured.first;
    END LOOP;
    PERFORM note('a variable, 10,000 edits: each', median(small), 'µs');
    PERFORM note('  the last 1,000 : the first 1,000', median(ratio), 'x', at_most => 2);
    PERFORM note('  in a text of 1,000,000 characters : in one of none', median(large) / median(small), 'x', at_most => 2);
    PERFORM note('doc[…] := … 10,000 times: each', median(assigned), 'µs');
    PERFORM note('  the last 1,000 : the first 1,000', median(assigned_ratio), 'x', at_most => 2);
END $$;
