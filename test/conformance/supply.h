/*
 * supply.h: the tagged JSON of vector files as what edits take: values, inputs, attributes, deltas.
 *
 * Everything made lives in a Supply and is freed with it.
 */
#ifndef CONFORMANCE_SUPPLY_H
#define CONFORMANCE_SUPPLY_H

#include <jansson.h>

#include "../../extension/crdt/edit.h"

typedef struct SupplyBlock SupplyBlock;

typedef struct Supply
{
	const CrdtHost *host;
	SupplyBlock *blocks;
} Supply;

void supply_open(Supply *supply, const CrdtHost *host);
void supply_close(Supply *supply);

/* A string, or the tagged form of one with lone surrogates. */
CrdtBytes supply_text(Supply *supply, const json_t *json);

/* An encoded value. */
CrdtBytes supply_value(Supply *supply, const json_t *json);

/* A value, bytes, subdocument or new shared type; count of an array. */
CrdtInput supply_input(Supply *supply, const json_t *json);
CrdtInput *supply_inputs(Supply *supply, const json_t *array, size_t *count);

CrdtAttributes supply_attributes(Supply *supply, const json_t *object);
CrdtDeltaOp *supply_delta(Supply *supply, const json_t *array, size_t *count);

#endif
