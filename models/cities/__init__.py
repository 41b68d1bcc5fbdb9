"""Read, invent and load cities: areas, outlines, people, holidays."""
