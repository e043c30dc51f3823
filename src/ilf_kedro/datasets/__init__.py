"""The few Kedro datasets that no library has."""

from ilf_kedro.datasets.checkpoint_dataset import CheckpointDataset
from ilf_kedro.datasets.feedback_folder_dataset import FeedbackFolderDataset
from ilf_kedro.datasets.generated_rows_dataset import GeneratedRowsDataset
from ilf_kedro.datasets.language_model_dataset import LanguageModelDataset
from ilf_kedro.datasets.prompt_template_dataset import PromptTemplateDataset
from ilf_kedro.datasets.raw_rows_dataset import RawRowsDataset
from ilf_kedro.datasets.table_dataset import TableDataset
from ilf_kedro.datasets.training_workspace_dataset import TrainingWorkspaceDataset

__all__ = [
    "CheckpointDataset",
    "FeedbackFolderDataset",
    "GeneratedRowsDataset",
    "LanguageModelDataset",
    "PromptTemplateDataset",
    "RawRowsDataset",
    "TableDataset",
    "TrainingWorkspaceDataset",
]
