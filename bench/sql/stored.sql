-- Editing stored documents in one transaction: one row of the log, and no edit costs more than others.
CREATE TABLE edit_time (round integer, part text, us float8);
CREATE PROCEDURE edit_stored(round integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
    document text := 'bench/' || round;
BEGIN
    FOR i IN 1..10000 LOOP
        IF i % 1000 = 1 THEN
            began := clock_timestamp();
        END IF;
        PERFORM ydoc.text_insert(document, 't', i / 2, 'a');
        IF i IN (1000, 10000) THEN
            INSERT INTO edit_time VALUES (round, CASE i WHEN 1000 THEN 'first' ELSE 'last' END,
                                     extract(epoch FROM clock_timestamp() - began) * 1e3);
        END IF;
    END LOOP;
    began := clock_timestamp();
    COMMIT;
    INSERT INTO edit_time VALUES (round, 'commit', extract(epoch FROM clock_timestamp() - began) * 1e6);
    COMMIT;
    IF length(ydoc.text(document, 't')) <> 10000 THEN
        RAISE EXCEPTION 'edits were lost';
    END IF;
END $$;
CALL edit_stored(1);
CALL edit_stored(2);
CALL edit_stored(3);
CALL edit_stored(4);
CALL edit_stored(5);
SELECT note('a stored document, 10,000 edits in a transaction: each', (SELECT median(array_agg(us)) FROM edit_time WHERE part = 'last'), 'µs');
SELECT note('  the last 1,000 : the first 1,000', (SELECT median(array_agg(l.us / f.us)) FROM edit_time f JOIN edit_time l USING (round) WHERE f.part = 'first' AND l.part = 'last'), 'x', at_most => 2);
SELECT note('  the commit, as many edits', (SELECT median(array_agg(c.us / l.us)) FROM edit_time c JOIN edit_time l USING (round) WHERE c.part = 'commit' AND l.part = 'last'), 'edits');
SELECT note('  rows of the log', (SELECT max(rows) FROM (SELECT count(*) AS rows FROM ydoc_data.log WHERE document LIKE 'bench/%' GROUP BY document) r), 'row', at_most => 1);
