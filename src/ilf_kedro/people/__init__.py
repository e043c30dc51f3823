"""Ask people: campaigns of items, who gets which, what they answered, and the page on which they do it."""

from ilf_kedro.people.agreement import adjudication_items, pair_agreements
from ilf_kedro.people.annotators import erase, invite, revoke
from ilf_kedro.people.answers import Answer, FeedbackAnswer, IncorporatedAnswer, RankingAnswer
from ilf_kedro.people.campaign import Settings, create_campaign, list_items
from ilf_kedro.people.database import CampaignError, Database
from ilf_kedro.people.items import Candidate, Item, Message, Origin, Passage, ask_feedback, ask_incorporated, ask_order
from ilf_kedro.people.records import Record, import_records, list_records

__all__ = [
    "Answer",
    "CampaignError",
    "Candidate",
    "Database",
    "FeedbackAnswer",
    "IncorporatedAnswer",
    "Item",
    "Message",
    "Origin",
    "Passage",
    "RankingAnswer",
    "Record",
    "Settings",
    "adjudication_items",
    "ask_feedback",
    "ask_incorporated",
    "ask_order",
    "create_campaign",
    "erase",
    "import_records",
    "invite",
    "list_items",
    "list_records",
    "pair_agreements",
    "revoke",
]
