-- What every measurement finds: the extension, a store, and a place for figures.
CREATE EXTENSION pg_ydoc;
SELECT ydoc.create_store() \g /dev/null
CREATE TABLE noted (ordinal integer GENERATED ALWAYS AS IDENTITY, record json NOT NULL);

-- A figure, with its target if it has one; a name that begins with spaces says more of the figure before.
CREATE FUNCTION note(what text, measured float8, unit text, at_most float8 DEFAULT NULL, at_least float8 DEFAULT NULL)
RETURNS void LANGUAGE sql AS $$
INSERT INTO noted (record)
SELECT json_build_object('kind', 'figure', 'what', $1, 'measured', $2, 'unit', $3, 'at_most', $4, 'at_least', $5)
$$;

CREATE FUNCTION median(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM unnest($1) v $$;

-- Updates: client 1 types a character behind those before.
CREATE FUNCTION varuint(n integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN n < 128 THEN set_byte('\x00', 0, n) ELSE set_byte('\x00', 0, 128 + n % 128) || varuint(n / 128) END $$;
CREATE FUNCTION typed(before integer) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT '\x010101'::bytea || varuint(before) || CASE before WHEN 0 THEN '\x04010174' ELSE '\x8401'::bytea || varuint(before - 1) END || '\x017800' $$;
