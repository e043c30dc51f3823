"""The page of a campaign: which output is better by people, with what certainty, and how the annotators did."""

from ilf_kedro.wiring.campaign_report.page import CampaignReport, report_campaign

__all__ = ["CampaignReport", "report_campaign"]
