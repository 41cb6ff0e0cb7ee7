/*
 * content.h: what an item holds: making it from a struct, cutting, joining, and back (FORMAT 4).
 */
#ifndef CRDT_CONTENT_H
#define CRDT_CONTENT_H

#include "item.h"

/* Gives item the content of arrival from unit offset on.  name: number of arrival->name, if it has
 * one.  Types are left to the caller.  Room is reserved: crdt_content_needs says what. */
void crdt_content_make(CrdtDoc *doc, CrdtItem *item, const CrdtStruct *arrival, uint64_t offset,
					   uint32_t name);

/* Does the content take a piece (records of doc->pieces)? */
bool crdt_content_has_piece(const CrdtItem *item);

/* Moves what is right of unit at (0 < at < length) to right, a copy of item's record. */
void crdt_content_split(CrdtDoc *doc, CrdtItem *item, CrdtItem *right, uint64_t at);

/* Appends right's content to left's, both of one kind; false: it cannot be joined. */
bool crdt_content_merge(CrdtDoc *doc, CrdtItem *left, CrdtItem *right);

/* Turns the content into CRDT_DELETED of the same length. */
void crdt_content_drop(CrdtDoc *doc, CrdtItem *item);

/* The item as a struct for the wire; views live as long as the document does not change. */
void crdt_item_to_struct(const CrdtDoc *doc, const CrdtItem *item, CrdtStruct *out);

/* The same for who needs it from unit *offset on: maybe a struct that begins later, and then *offset counts
 * from there.  What a list was given last is found without reading all that it holds. */
void crdt_item_to_struct_from(const CrdtDoc *doc, const CrdtItem *item, uint64_t *offset,
							  CrdtStruct *out);

#endif
