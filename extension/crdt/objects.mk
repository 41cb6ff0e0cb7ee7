# The core's objects in reading order; extension/Makefile and test/ build from this one list.
CRDT = memory bytes utf object any json_text value idset column wire wire_v1 wire_v2 tables content marks redone index structs integrate transaction clean reserve pending plan apply prepare edit edit_list edit_text undo encode slice document text xml json snapshot delta position runs merge diff inspect
