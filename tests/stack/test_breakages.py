"""Every contract of the template, broken on purpose: the test that names it must notice."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.errors import PosthornError
from tests.stack import (
    test_alarms,
    test_api,
    test_costs,
    test_functions,
    test_parameters,
    test_permissions,
    test_readability,
    test_settings,
    test_snapstart,
    test_sources,
    test_tables,
    test_topics,
)
from tests.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable

    type Contract = Callable[..., None]

MODULES = (
    test_alarms,
    test_api,
    test_costs,
    test_functions,
    test_parameters,
    test_permissions,
    test_readability,
    test_settings,
    test_snapstart,
    test_sources,
    test_tables,
    test_topics,
)

# What a contract takes beside the template, for one of its cases.
GIVEN: dict[Contract, dict[str, Any]] = {
    test_settings.test_settings_find_what_they_read: {"function": "DispatchFunction"},
    test_settings.test_nothing_is_given_that_nobody_reads: {"function": "DispatchFunction"},
    test_settings.test_the_rule_and_the_settings_agree_on_private_targets: {
        "stage": "prod",
        "allow": "true",
        "taken": False,
    },
    test_settings.test_mail_is_simulated_where_nobody_says_otherwise_and_the_stage_is_local: {
        "stage": "prod",
        "backend": "by-stage",
        "is_simulated": False,
    },
    test_parameters.test_patterns_let_through_what_a_header_can_carry: {
        "name": "BrandUserAgent",
        "taken": ["x"],
        "refused": ["a\r\nHost: b"],
    },
}

# Pieces of the template's text, and what to put in their place so that the contract is broken.
BREAKAGES: dict[Contract, list[tuple[str, str]]] = {
    # functions
    test_functions.test_every_handler_is_a_function_of_an_event_and_a_context: [
        ("posthorn.handlers.api.handler", "posthorn.handlers.api.main")
    ],
    test_functions.test_every_module_of_handlers_belongs_to_one_function: [
        ("posthorn.handlers.deliver.handler", "posthorn.handlers.dispatch.handler")
    ],
    test_functions.test_every_function_ships_the_same_code_for_the_python_that_tests_it: [
        ("Runtime: python3.13", "Runtime: python3.12"),
        ("      Timeout: 29", "      Runtime: python3.12\n      Timeout: 29"),
    ],
    test_functions.test_every_function_logs_json_to_a_group_of_its_own_that_expires: [
        ("LogGroup: !Ref DispatchLogGroup", "LogGroup: !Ref ApiLogGroup"),
        ("RetentionInDays: !Ref LogRetentionDays", "RetentionInDays: 3653"),
        ("ApplicationLogLevel: !Ref LogLevel", "ApplicationLogLevel: INFO"),
        ("LogFormat: JSON", "LogFormat: Text"),
    ],
    test_api.test_the_access_log_tells_who_called_what_and_nothing_confidential: [
        ('"status":"$context.status"', '"status":$context.status'),
        ("$context.httpMethod $context.path", "$context.httpMethod $context.routeKey"),
        (
            '"ms":"$context.responseLatency"',
            '"ms":"$context.responseLatency","key":"$context.authorizer.key"',
        ),
    ],
    test_functions.test_those_that_deliver_have_the_memory_that_the_operator_says: [
        ("MemorySize: !Ref DeliveryMemory", "MemorySize: 256 #"),
        ("MemorySize: 512 # CPU follows memory, and a page", "MemorySize: !Ref DeliveryMemory"),
    ],
    test_functions.test_an_attempt_of_the_longest_deadline_fits_twice_into_a_function_that_makes_one: [
        ("MaxValue: 15", "MaxValue: 16")
    ],
    # the API
    test_api.test_every_request_reaches_the_function: [
        ("StageName: $default", "StageName: v1"),
        ("AutoDeploy: true", "AutoDeploy: false"),
        ("RouteKey: $default", "RouteKey: ANY /v1/{path+}"),
        ('PayloadFormatVersion: "2.0"', 'PayloadFormatVersion: "1.0"'),
    ],
    test_api.test_the_function_with_snapshots_is_called_if_they_are_wanted: [
        (
            "!Ref ApiSnapshotFunction.Alias, !GetAtt ApiFunction.Arn]",
            "!GetAtt ApiFunction.Arn, !Ref ApiSnapshotFunction.Alias]",
        )
    ],
    test_api.test_what_is_called_may_be_called_before: [
        ("    DependsOn: ApiPermission", "    DependsOn: ApiStage"),
        ("FunctionName: *CalledByTheApi", "FunctionName: !GetAtt ApiFunction.Arn"),
    ],
    test_api.test_the_api_answers_before_api_gateway_gives_up: [("Timeout: 29", "Timeout: 30")],
    # snapshots of the API
    test_snapstart.test_nothing_of_it_is_there_by_default: [
        (
            'ApiSnapshots: !Equals [!Ref ApiSnapStart, "true"]',
            'ApiSnapshots: !Equals [!Ref ApiSnapStart, "false"]',
        ),
        ("    Condition: ApiSnapshots\n", ""),
    ],
    test_snapstart.test_it_is_the_same_function: [
        ("<<: *ApiFunction\n", "<<: *ApiFunction\n      Timeout: 10\n")
    ],
    test_snapstart.test_the_alias_leads_to_a_version_with_a_snapshot: [
        ("SnapStart: {ApplyOn: PublishedVersions}", "SnapStart: {ApplyOn: None}")
    ],
    test_snapstart.test_a_version_that_is_no_longer_called_is_deleted: [
        ("VersionDeletionPolicy: Delete", "VersionDeletionPolicy: Retain")
    ],
    test_snapstart.test_no_other_function_has_snapshots: [
        (
            "MemorySize: !Ref DeliveryMemory",
            "SnapStart: {ApplyOn: PublishedVersions}\n      MemorySize: 256 #",
        )
    ],
    test_snapstart.test_a_property_that_changes_makes_a_version: [
        ("      AutoPublishAliasAllProperties: true\n", "")
    ],
    test_snapstart.test_a_parameter_that_changes_makes_a_version: [
        ("          - !Ref LogLevel\n", ""),
        ("          - *EmailBackend\n", "          - !Ref EmailBackend\n"),
        (
            "          - !Ref ApiDomainNames\n",
            "          - !Ref ApiDomainNames\n          - !Ref SweepGrace\n",
        ),
    ],
    test_snapstart.test_the_description_has_room_for_more_than_the_defaults: [
        ("    Default: SMASHSEND-Webhook/1.0", f"    Default: SMASHSEND-Webhook/1.0 {'and more ' * 5}")
    ],
    # what the cost model reckons with
    test_costs.test_the_model_reckons_with_the_memory_of_the_template: [
        ("MemorySize: 512 # CPU follows memory; pydantic", "MemorySize: 1024 # CPU follows memory; pydantic"),
        ("    Default: 256\n", "    Default: 512\n"),
        ("    MaxValue: 3008 #", "    MaxValue: 4096 #"),
    ],
    test_costs.test_the_model_reckons_with_the_mappings_of_the_template: [
        ("    Default: 4 #", "    Default: 10 #"),
        ("BatchSize: 100 #", "BatchSize: 50 #"),
        ("BatchSize: 10 # as above", "BatchSize: 5 # as above"),
        ("MaximumBatchingWindowInSeconds: 2", "MaximumBatchingWindowInSeconds: 1"),
    ],
    test_costs.test_who_decides_about_snapshots_sees_their_price: [
        ("for about $2 a month", "for about $1 a month")
    ],
    test_costs.test_the_model_reckons_with_a_line_of_the_access_log: [
        ('"ms":"$context.responseLatency"', '"latency":"$context.responseLatency"')
    ],
    # environment variables
    test_settings.test_every_function_has_settings: [("  DeliverFunction:\n", "  SendFunction:\n")],
    test_settings.test_every_handler_reads_the_settings_of_its_function: [
        ("posthorn.handlers.api.handler", "posthorn.handlers.deliver.handler")
    ],
    test_settings.test_settings_find_what_they_read: [
        ("          ATTEMPT_DEADLINE: !Ref AttemptDeadline\n", ""),
        ("            BRAND_ALIAS_HEADER: !Ref BrandAliasHeader\n", ""),
        ("        STAGE: !Ref Stage\n", ""),
    ],
    test_settings.test_nothing_is_given_that_nobody_reads: [
        ("        STAGE: !Ref Stage\n", "        STAGE: !Ref Stage\n        COLOUR: !Ref Stage\n"),
        ("        RES_OPTIONS: timeout:1 attempts:2\n", ""),
    ],
    test_settings.test_every_value_comes_from_a_parameter_or_a_resource: [
        ("STAGE: !Ref Stage", "STAGE: prod")
    ],
    test_settings.test_an_environment_has_room_to_spare: [
        ("RES_OPTIONS: timeout:1 attempts:2", f"RES_OPTIONS: {'timeout:1 ' * 200}")
    ],
    test_settings.test_the_rule_and_the_settings_agree_on_private_targets: [
        ("- Assert: !Equals [!Ref Stage, local]", "- Assert: !Equals [!Ref Stage, prod]")
    ],
    test_settings.test_mail_is_simulated_where_nobody_says_otherwise_and_the_stage_is_local: [
        ("by-stage], !Equals [!Ref Stage, local]", "by-stage], !Equals [!Ref Stage, prod]"),
        ("!If [SimulatedMail, simulator, ses]", "!If [SimulatedMail, ses, simulator]"),
    ],
    test_settings.test_every_function_that_checks_urls_knows_the_hosts_of_the_api: [
        ("API_HOST: !Sub ${Api}.execute-api", "API_HOST: !Sub ${Stage}.execute-api"),
        ("API_DOMAIN_NAMES: !Ref ApiDomainNames", "API_DOMAIN_NAMES: !Ref Stage"),
    ],
    # tables
    test_tables.test_there_are_three_tables_with_the_keys_that_the_stores_use: [
        ("AttributeName: sk", "AttributeName: id")
    ],
    test_tables.test_indexes_are_those_of_the_design: [
        ("IndexName: due", "IndexName: waiting"),
        (
            "AttributeName: next_attempt_at, AttributeType: N",
            "AttributeName: next_attempt_at, AttributeType: S",
        ),
        ("ProjectionType: KEYS_ONLY", "ProjectionType: ALL"),
        ("[status, event_type, generation, is_test]", "[status]"),
    ],
    test_tables.test_rows_expire_by_the_attribute_that_the_stores_write: [
        ("AttributeName: expires_at", "AttributeName: ttl"),
        ("expires_at, Enabled: true", "expires_at, Enabled: false"),
    ],
    test_tables.test_tables_cost_nothing_at_rest_and_can_be_restored: [
        ("BillingMode: PAY_PER_REQUEST", "BillingMode: PROVISIONED"),
        ("PointInTimeRecoveryEnabled: true", "PointInTimeRecoveryEnabled: false"),
    ],
    test_tables.test_tables_are_encrypted_with_the_stacks_own_key: [
        ("KMSMasterKeyId: !GetAtt SecretsKey.Arn", "KMSMasterKeyId: alias/aws/dynamodb"),
        ("EnableKeyRotation: true", "EnableKeyRotation: false"),
    ],
    test_tables.test_only_the_events_table_has_a_stream_and_it_carries_the_new_row: [
        ("StreamViewType: NEW_IMAGE", "StreamViewType: KEYS_ONLY")
    ],
    test_tables.test_what_holds_state_outlives_the_stack: [
        ("    DeletionPolicy: Retain", "    DeletionPolicy: Delete"),
        ("    UpdateReplacePolicy: Retain\n", ""),
    ],
    # sources and queues
    test_sources.test_the_sources_are_the_outbox_and_six_queues: [
        ("Queue: !GetAtt Retry15MinQueue.Arn", "Queue: !GetAtt DispatchDeadLetterQueue.Arn")
    ],
    test_sources.test_a_failed_record_does_not_take_its_batch_along: [
        (
            "            FunctionResponseTypes: [ReportBatchItemFailures]\n            ScalingConfig",
            "            ScalingConfig",
        )
    ],
    test_sources.test_what_is_given_up_on_is_kept: [
        (
            "Destination: !GetAtt DispatchDeadLetterQueue.Arn",
            "Destination: !GetAtt DeliverDeadLetterQueue.Arn",
        ),
        ("      RedrivePolicy: *AfterFiveReceives\n", ""),
        ("PARKING_QUEUE_URL: !Ref FeedbackDeadLetterQueue", "PARKING_QUEUE_URL: !Ref DeliverDeadLetterQueue"),
    ],
    test_sources.test_a_dead_letter_is_kept_longer_than_it_waited: [
        ("MessageRetentionPeriod: 1209600 # 14 days, longer", "MessageRetentionPeriod: 345600 # as long"),
        ("MessageRetentionPeriod: 1209600 # 14 days, the longest", "MessageRetentionPeriod: 86400 # one day"),
    ],
    test_sources.test_a_message_survives_a_few_throttled_receives: [
        ("maxReceiveCount: 5", "maxReceiveCount: 3")
    ],
    test_sources.test_a_message_stays_hidden_for_six_times_the_functions_timeout: [
        ("VisibilityTimeout: 180", "VisibilityTimeout: 179"),
        ("VisibilityTimeout: 200", "VisibilityTimeout: 182"),
    ],
    test_sources.test_only_what_has_waited_a_minute_waits_for_company: [
        ("            MaximumBatchingWindowInSeconds: 2 # as", "            #"),
        (
            "            BatchSize: 10 # all",
            "            MaximumBatchingWindowInSeconds: 2\n            BatchSize: 10 #",
        ),
    ],
    test_sources.test_a_claim_outlives_its_function_and_ends_before_the_message_comes_again: [
        ("Timeout: 30 ", "Timeout: 60 "),
        ("VisibilityTimeout: 180", "VisibilityTimeout: 40"),
        ("VisibilityTimeout: 200", "VisibilityTimeout: 45"),
    ],
    test_sources.test_a_step_taken_for_lost_is_lost: [
        ("VisibilityTimeout: 180", "VisibilityTimeout: 150"),
        ("Timeout: 30 # a page", "Timeout: 119 # a page"),
    ],
    test_sources.test_a_job_may_ask_for_its_own_next_step: [
        ("RecursiveLoop: Allow", "RecursiveLoop: Terminate"),
        ("      RecursiveLoop: Allow\n", ""),
        ("BatchSize: 1 #", "BatchSize: 10 #"),
        ("REPLAY_QUEUE_URL: !Ref ReplayQueue", "REPLAY_QUEUE_URL: !Ref DeliverQueue"),
    ],
    test_sources.test_half_of_a_dispatch_at_least_is_for_sending: [("Timeout: 60 ", "Timeout: 45 ")],
    test_sources.test_no_queue_can_take_all_concurrency: [
        ("MaximumConcurrency: 100", "MaximumConcurrency: 400"),
        ("            ScalingConfig: {MaximumConcurrency: 100}", "            #"),
    ],
    test_sources.test_queues_are_encrypted: [("SqsManagedSseEnabled: true", "SqsManagedSseEnabled: false")],
    test_sources.test_each_retry_waits_in_its_own_queue_for_its_own_delay: [
        ("SECOND_RETRY_QUEUE_URL: !Ref Retry5MinQueue", "SECOND_RETRY_QUEUE_URL: !Ref Retry15MinQueue"),
        ("DelaySeconds: !Ref SecondRetryDelay", "DelaySeconds: !Ref FirstRetryDelay"),
        ("      VisibilityTimeout: 180", "      DelaySeconds: 5\n      VisibilityTimeout: 180"),
    ],
    test_sources.test_the_outbox_is_read_from_its_beginning_and_never_stuck: [
        ("StartingPosition: TRIM_HORIZON", "StartingPosition: LATEST"),
        ("BisectBatchOnFunctionError: true", "BisectBatchOnFunctionError: false"),
        ("MaximumRetryAttempts: 20", "MaximumRetryAttempts: -1"),
        ("MaximumRecordAgeInSeconds: 21600", "MaximumRecordAgeInSeconds: 604800"),
        ("ParallelizationFactor: !Ref DispatchLanes", "ParallelizationFactor: 1"),
        ("BatchSize: 100", "BatchSize: 1000"),
    ],
    test_sources.test_only_new_rows_are_events: [('["INSERT"]', '["INSERT","REMOVE"]')],
    test_sources.test_the_sweeper_runs_every_five_minutes_and_ends_before_the_next: [
        ("Schedule: rate(5 minutes)", "Schedule: rate(5 hours)"),
        ("Timeout: 120 ", "Timeout: 600 "),
        ("    Default: 600 #", "    Default: 150 #"),
        ("VisibilityTimeout: 200", "VisibilityTimeout: 210"),
    ],
    # permissions
    test_permissions.test_every_function_may_do_exactly_what_is_listed: [
        (
            "Action: [dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:BatchWriteItem]",
            "Action: [dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:BatchWriteItem, dynamodb:Scan]",
        ),
        (
            "                  - !GetAtt DispatchDeadLetterQueue.Arn\n",
            "                  - !GetAtt DeliverDeadLetterQueue.Arn\n",
        ),
    ],
    test_permissions.test_no_role_holds_a_wildcard: [
        ("Action: sqs:SendMessage", "Action: sqs:Send*"),
        ("Resource: !GetAtt EventsTable.StreamArn", 'Resource: !Sub "${EventsTable.Arn}/stream/*"'),
        (":configuration-set/posthorn-${Stage}-cs_*", ":configuration-set/*"),
        (":identity/*", ":identity/example.com"),
    ],
    test_permissions.test_the_sets_that_may_be_changed_are_those_that_the_backend_names: [
        (":configuration-set/posthorn-${Stage}-cs_*", ":configuration-set/*")
    ],
    test_permissions.test_every_function_has_a_role_of_its_own_that_only_lambda_takes_on: [
        ("Role: !GetAtt DeliverRole.Arn", "Role: !GetAtt DispatchRole.Arn"),
        ("Principal: {Service: lambda.amazonaws.com}", 'Principal: {AWS: "*"}'),
    ],
    test_permissions.test_sam_adds_no_role_and_no_managed_policy: [
        ("      Role: !GetAtt DeliverRole.Arn\n", ""),
        (
            "      Description: What DeliverFunction may do.\n",
            "      ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess']\n",
        ),
    ],
    test_permissions.test_only_our_api_and_our_schedule_may_call_a_function: [
        ("      Timeout: 29", "      FunctionUrlConfig: {AuthType: NONE}\n      Timeout: 29"),
        ("${Api}/*/*", "*"),
    ],
    test_permissions.test_every_right_has_a_caller: [
        ("dynamodb:DeleteItem]", "dynamodb:DeleteItem, dynamodb:Scan]"),
        (
            "Action: sns:Publish\n                Resource: !Ref FeedbackTopic\n              # Decrypt",
            "Action: sns:Subscribe\n                Resource: !Ref FeedbackTopic\n              # Decrypt",
        ),
    ],
    test_permissions.test_every_right_on_the_key_hangs_on_the_encryption_context: [
        (
            '                    "kms:EncryptionContext:app": posthorn\n',
            '                    "aws:SourceVpc": vpc\n',
        )
    ],
    test_permissions.test_the_code_sends_the_context_that_the_roles_ask_for: [
        ('"kms:EncryptionContext:app": posthorn', '"kms:EncryptionContext:app": other')
    ],
    test_permissions.test_the_key_policy_is_exactly_this: [
        ('                "kms:CallerAccount": !Ref AWS::AccountId\n', "")
    ],
    test_permissions.test_a_function_may_send_to_every_queue_it_knows: [
        ("                  - !GetAtt DispatchDeadLetterQueue.Arn\n", "")
    ],
    # parameters
    test_parameters.test_every_parameter_says_what_it_is_for: [
        ("Description: Seconds between the first attempt and the first retry.", "Description: to do")
    ],
    test_parameters.test_every_parameter_has_a_default_and_a_limit: [
        ("    Default: 10\n", ""),
        ("    AllowedPattern: ^[a-z][a-z0-9-]{0,15}$\n", ""),
    ],
    test_parameters.test_numbers_stay_in_their_range: [
        ("    Default: 60\n", "    Default: 61\n"),
        ("    MaxValue: 900 #", "    MaxValue: 901 #"),
    ],
    test_parameters.test_choices_are_those_that_the_service_knows: [('Default: "false"', 'Default: "true"')],
    test_parameters.test_texts_have_the_defaults_that_the_code_has: [
        ("Default: X-SMASHSEND", "Default: X-Acme")
    ],
    test_parameters.test_patterns_let_through_what_a_header_can_carry: [
        ("AllowedPattern: ^[!-~]([ -~]{0,98}[!-~])?$", "AllowedPattern: ^[^x]*$")
    ],
    # alarms
    test_alarms.test_every_alarm_watches_a_series_that_there_is: [
        (
            "Dimensions: [{Name: ApiId, Value: !Ref Api}]",
            "Dimensions: [{Name: ApiName, Value: !Ref Api}]",
        ),
        ("MetricName: 5xx", "MetricName: 5XXError"),
        ("Value: !GetAtt DeliverQueue.QueueName}]", "Value: !Ref DeliverQueue}]"),
        ("Value: !Ref SweepFunction}]", "Value: !GetAtt SweepFunction.Arn}]"),
        ("Value: !Ref EventsTable}]", "Value: !Ref DeliverQueue}]"),
        ("Namespace: AWS/DynamoDB", "Namespace: AWS/Dynamo"),
        ("        Statistic: Maximum", "        Statistic: SampleCount"),
    ],
    test_alarms.test_what_is_calculated_is_calculated_from_what_is_there: [
        ("FILL(invoked, 0)", "invoked"),
        ("Id: written", "Id: puts"),
        ("          ReturnData: true", "          ReturnData: false"),
        ("DatapointsToAlarm: 3 # the newest", "DatapointsToAlarm: 1 # the newest"),
        ("            Period: 300 # as above", "            Period: 60 # as above"),
    ],
    test_alarms.test_every_dead_letter_queue_rings_while_it_holds_anything: [
        ("MetricName: ApproximateNumberOfMessagesVisible", "MetricName: NumberOfMessagesSent"),
        (
            "Dimensions: [{Name: QueueName, Value: !GetAtt DispatchDeadLetterQueue",
            "Dimensions: [{Name: QueueName, Value: !GetAtt DeliverQueue",
        ),
        ("        Threshold: 1 # each has", "        Threshold: 10 # each has"),
        (
            "  # The next step of each bulk replay",
            "  OtherDeadLetterQueue: {Type: AWS::SQS::Queue, Properties: {}}\n  # The next step of each bulk replay",
        ),
    ],
    test_alarms.test_every_working_queue_rings_when_its_oldest_message_is_late: [
        (
            "Dimensions: [{Name: QueueName, Value: !GetAtt ReplayQueue",
            "Dimensions: [{Name: QueueName, Value: !GetAtt ReplayDeadLetterQueue",
        ),
        ("        Threshold: 900", "        Threshold: 800"),
        ("        Threshold: 1900", "        Threshold: 900"),
        ("        Threshold: 1900", "        Threshold: 345000"),
    ],
    test_alarms.test_the_stream_rings_before_it_forgets: [
        ("Threshold: 300000 #", "Threshold: 300 #"),
        ("Threshold: 300000 #", "Threshold: 21600000 #"),
        ("MetricName: IteratorAge", "MetricName: Duration"),
        ("Period: 300 # a batch", "Period: 60 # a batch"),
    ],
    test_alarms.test_an_accepted_event_that_nobody_dispatches_rings: [
        ("Value: !Ref EventsTable}]", "Value: !Ref DeliveriesTable}]"),
        (
            "MetricName: Invocations\n              Dimensions: [{Name: FunctionName, Value: !Ref DispatchFunction}]",
            "MetricName: Invocations\n              Dimensions: [{Name: FunctionName, Value: !Ref DeliverFunction}]",
        ),
    ],
    test_alarms.test_throttles_ring_before_they_make_dead_letters: [
        ("EvaluationPeriods: 2 #", "EvaluationPeriods: 3 #"),
        ("MetricName: Throttles", "MetricName: Errors"),
    ],
    test_alarms.test_whoever_runs_on_a_schedule_rings_when_run_after_run_fails: [
        ("Schedule: rate(5 minutes)", "Schedule: rate(10 minutes)"),
        ("EvaluationPeriods: 3 #", "EvaluationPeriods: 1 #"),
        ("Value: !Ref SweepFunction}]", "Value: !Ref ReplayFunction}]"),
    ],
    test_alarms.test_the_api_rings_when_it_fails: [
        ("DatapointsToAlarm: 3 # and", "DatapointsToAlarm: 1 # and"),
        ("MetricName: 5xx", "MetricName: 4xx"),
    ],
    test_alarms.test_alarms_are_made_for_a_topic_and_tell_it_twice: [
        ("WithAlarms: !Not [!Equals", "WithAlarms: !Or [!Equals [a, a], !Equals"),
        (
            "  SweepErrorsAlarm:\n    Type: AWS::CloudWatch::Alarm\n    Condition: WithAlarms\n",
            "  SweepErrorsAlarm:\n    Type: AWS::CloudWatch::Alarm\n",
        ),
        ("        OKActions: [!Ref AlarmTopicArn]\n", "        OKActions: []\n"),
        ("    AlarmActions: [!Ref AlarmTopicArn]", "    AlarmActions: [!Ref FeedbackTopic]"),
    ],
    test_alarms.test_no_data_is_no_alarm: [("TreatMissingData: notBreaching", "TreatMissingData: breaching")],
    test_alarms.test_every_alarm_says_what_happened_and_what_to_do: [
        ("posthorn dead-letters --stack", "posthorn letters --stack"),
        ("--queue deliver`", "--queue delivery`"),
        ("--stack ${AWS::StackName} --queue replay", "--stack posthorn-${Stage} --queue replay"),
        (
            "`posthorn redispatch --stack ${AWS::StackName} --since",
            "`posthorn redispatch --stack ${AWS::StackName} --from",
        ),
        ('README, "When an alarm rings"', 'README, "Alarms"'),
        ("the log of SweepFunction", "the log of SweeperFunction"),
    ],
    test_alarms.test_a_dead_letter_queues_alarm_names_the_command_for_this_queue: [
        ("--queue feedback --move", "--queue replay --move")
    ],
    test_alarms.test_the_readme_has_a_line_for_each_alarm_and_the_price_of_all: [
        ("  SweepErrorsAlarm:\n", "  SweepFailuresAlarm:\n"),
        (
            "      AlarmDescription: >-\n        The API answered",
            "      Metrics: []\n      AlarmDescription: >-\n        The API answered",
        ),
    ],
    # what a reader and an operator find
    test_readability.test_every_resource_says_why_it_is_there: [("  # As DispatchLogGroup.\n", "\n")],
    test_readability.test_every_number_has_its_reason: [
        ("Timeout: 29 #", "Timeout: 29\n      #"),
        ("{MaximumConcurrency: 100} #", "{MaximumConcurrency: 100}\n            #"),
    ],
    test_readability.test_nothing_has_a_name_of_its_own: [
        (
            "      BillingMode: PAY_PER_REQUEST\n",
            "      BillingMode: PAY_PER_REQUEST\n      TableName: posthorn\n",
        ),
        ("Name: !Ref AWS::StackName", "Name: posthorn"),
    ],
    test_readability.test_no_account_no_region_and_no_partition_is_written_out: [
        ("arn:${AWS::Partition}:iam", "arn:aws:iam"),
        ("${AWS::AccountId}", "123456789012"),
        ("execute-api.${AWS::Region}", "execute-api.eu-west-1"),
        ("${AWS::URLSuffix}", "amazonaws.com"),
    ],
    test_readability.test_outputs_name_everything_an_operator_needs: [
        ("Value: !GetAtt Retry5MinQueue.QueueName", "Value: !Ref Retry5MinQueue"),
        ("Value: !Ref FeedbackTopic", "Value: !GetAtt FeedbackTopic.TopicName"),
    ],
    # the topic
    test_topics.test_only_ses_may_publish_and_only_for_our_sets: [
        (
            '                "aws:SourceAccount": !Ref AWS::AccountId\n',
            '                "aws:PrincipalIsAWSService": "true"\n',
        ),
        ("              ArnLike:\n", "              ArnNotLike:\n"),
        ("Principal: {Service: ses.amazonaws.com}", 'Principal: "*"'),
    ],
    test_topics.test_only_the_topic_may_send_to_the_queue: [
        ('                "aws:SourceArn": !Ref FeedbackTopic\n', '                "aws:SourceArn": "*"\n'),
        ("Queues: [!Ref FeedbackQueue]", "Queues: [!Ref DeliverQueue]"),
    ],
    test_topics.test_the_topic_leads_to_the_queue_as_it_is: [
        ("RawMessageDelivery: true", "RawMessageDelivery: false"),
        ("Endpoint: !GetAtt FeedbackQueue.Arn", "Endpoint: !GetAtt DeliverQueue.Arn"),
    ],
}


@pytest.mark.parametrize(
    ("contract", "old", "new"),
    [(contract, old, new) for contract, pieces in BREAKAGES.items() for old, new in pieces],
)
def test_a_broken_template_is_noticed(stack: Template, contract: Contract, old: str, new: str) -> None:
    """The contract holds for the real template and not for the broken one."""
    assert old in stack.text
    given = GIVEN.get(contract, {})
    contract(stack, **given)
    with pytest.raises((AssertionError, AttributeError, LookupError, ValueError, PosthornError)):
        contract(Template(stack.text.replace(old, new)), **given)


def test_every_contract_was_broken_at_least_once() -> None:
    """A test of the template that is added is also broken above."""
    contracts = {
        test
        for module in MODULES
        for name, test in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_") and "stack" in inspect.signature(test).parameters
    }
    assert contracts == BREAKAGES.keys()
