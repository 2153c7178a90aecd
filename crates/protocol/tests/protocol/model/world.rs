//! What the protocol meets: an API server, Microsoft's side, and where the process dies.

use super::*;

impl World for Model {
    fn now(&mut self) -> &mut Timestamp {
        &mut self.now
    }

    fn api(&self) -> &ApiServer {
        &self.api
    }

    fn owner(&self) -> Owner {
        Owner::Present {
            suspended: false,
            reconcile_at: Some("then".into()),
        }
    }

    fn others(&self) -> Vec<KnownOperation> {
        Vec::new()
    }

    fn reach_api(&self) -> Result<(), Refused> {
        Ok(())
    }

    fn hold(
        &mut self,
        operation: &DualWriteOperation,
        held: bool,
    ) -> Result<DualWriteOperation, Stop> {
        self.api.hold(operation, held)
    }

    fn write_status(
        &mut self,
        read: &DualWriteOperation,
        status: &DualWriteOperationStatus,
    ) -> Result<DualWriteOperation, Stop> {
        let intent = new_intent(&self.api.stored.status, status);
        let is_intent = intent.is_some();
        self.begun = intent.or_else(|| self.begun.take());
        let dies = match (is_intent, &self.begun) {
            (true, _) => self.is_here() && self.dies(Crash::BeforeIntent),
            (false, Some(_)) => self.is_here() && self.dies(Crash::AfterAnswer),
            (false, None) => self.dies_polling(),
        };
        let is_final = status.phase.is_some_and(Phase::is_finished);
        if dies || is_final && self.dies(Crash::BeforeFinalWrite) {
            return Err(Stop::Died);
        }
        assert!(
            !is_intent || self.api.finalizer,
            "an intent without a finalizer"
        );
        let written = self.api.write_status(read, status)?;
        if is_intent && self.is_here() && self.dies(Crash::AfterIntent) {
            return Err(Stop::Died);
        }
        Ok(written)
    }

    fn read(&mut self) -> Observations {
        let observed = self.observe();
        self.looks = self.passes;
        self.passes = self.passes.map(|passes| passes + 1);
        observed
    }

    fn send(&mut self, send: &Send) -> Result<Sent, Stop> {
        assert!(self.now < send.before);
        let sent = self.receive(&send.step, send.before);
        if self.is_here() {
            self.passes = Some(0);
            if self.dies(Crash::AfterReceipt) {
                return Err(Stop::Died);
            }
        }
        Ok(sent)
    }
}

impl Model {
    pub fn seen(&self, step: &str, at: Timestamp) -> PackageState {
        match self.effects.get(step) {
            Some(effect) if at >= effect.until && effect.ends_well => PackageState::Installed,
            Some(effect) if at >= effect.until => PackageState::Failed,
            Some(effect) if at >= effect.from => PackageState::InProgress("Installing".into()),
            _ => PackageState::NotInstalled,
        }
    }

    pub fn observe(&self) -> Observations {
        let failing = matches!((self.cell.reads, self.passes), (Reads::Fail(most), Some(passes)) if passes < most);
        let lag = match self.cell.reads {
            Reads::Lag(lag) => seconds(lag),
            Reads::Good | Reads::Fail(_) => Duration::ZERO,
        };
        let at = self.now - jiff::SignedDuration::try_from(lag).unwrap();
        let step = self
            .api
            .stored
            .status
            .steps
            .iter()
            .find(|step| step.state == StepState::Sent);
        let remote = step.filter(|step| step.remote_id.is_some()).map(|step| {
            match self.seen(&step.name, at) {
                PackageState::Installed => RemoteState::Succeeded,
                PackageState::Failed => RemoteState::Failed("0x80040216: no capacity.".into()),
                _ => RemoteState::Running,
            }
        });
        let packages = self
            .api
            .stored
            .spec
            .steps
            .iter()
            .map(|step| package(&step.name, self.seen(&step.name, at)));
        let link = match self.seen("link", at) {
            PackageState::Installed => link_to(S),
            _ => LinkView::Absent,
        };
        if failing {
            return Observations {
                began: self.now,
                integrated: Fact::Unknown(down()),
                applications: Fact::Unknown(down()),
                remote: Fact::Unknown(down()),
                link: LinkView::Unknown(down()),
                ..nothing_to_reset()
            };
        }
        Observations {
            began: self.now,
            integrated: Fact::Known(true),
            applications: Fact::Known(packages.collect()),
            remote: remote.map_or_else(|| Fact::Unknown(busy()), Fact::Known),
            link,
            ..nothing_to_reset()
        }
    }

    pub fn receive(&mut self, step: &str, before: Timestamp) -> Sent {
        let earlier = self
            .requests
            .iter()
            .filter(|request| request.step == step)
            .count();
        let scripted = self.targets(step) && (earlier == 0 || self.cell.again);
        let (answer, effect) = if scripted {
            (self.cell.answer, self.cell.effect)
        } else {
            (Answer::AcceptedWithId, true)
        };
        let possible = !matches!(
            answer,
            Answer::Refused | Answer::RefusedForLater | Answer::NotSent
        );
        self.requests.push(Request {
            step: step.into(),
            at: self.now,
            before,
            possible,
            effect,
        });
        if effect {
            let dawdles =
                scripted && self.cell.late && matches!(answer, Answer::Lost | Answer::Broken);
            let from = if dawdles {
                after(before, self.request_timeout() - seconds(1))
            } else {
                self.now
            };
            let takes = if self.cell.action == Action::Setup {
                minutes(20)
            } else {
                seconds(90)
            };
            self.effects.entry(step.into()).or_insert(Effect {
                from,
                until: after(from, takes),
                ends_well: !scripted || self.cell.ends_well,
            });
        }
        let problem = |class| Problem { class, ..down() };
        match answer {
            Answer::AcceptedWithId => Sent::Accepted {
                remote_id: Some("op-1".into()),
            },
            Answer::AcceptedWithoutId => Sent::Accepted { remote_id: None },
            Answer::Lost => Sent::Lost(problem(FailureClass::Transient)),
            Answer::Broken => Sent::Lost(problem(FailureClass::Unexpected)),
            Answer::Refused => {
                Sent::Refused(refused("400: the terms of service are not accepted."))
            }
            Answer::RefusedForLater => Sent::Refused(busy()),
            Answer::NotSent => Sent::NotSent(problem(FailureClass::Transient)),
        }
    }

    pub fn request_timeout(&self) -> Duration {
        match self.cell.action {
            Action::Setup | Action::StopMaps => self.settings.request_timeout,
            Action::Link | Action::Reset => {
                self.settings.request_timeout * self.settings.slow_factor
            }
        }
    }
}
