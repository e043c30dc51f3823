"""Targeted word removal: a task whose success can be checked exactly.

Sentences hold mildly rude words; feedback names those that somebody objects to; a refinement is right
where exactly these are gone and the grammar is mended. The paper asks it of language models as a probe
(section on targeted word removal); here the whole loop learns it as well, from a hidden annotator.
"""
