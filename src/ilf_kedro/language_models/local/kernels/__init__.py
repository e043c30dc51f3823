"""The products that the engines are fast by: packing, attention, weights."""
